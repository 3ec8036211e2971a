import type { Distro } from "../config/config.ts";

/** Package managers for which there is a set-up. */
export type PackageManager = "apt" | "dnf" | "zypper" | "pacman" | "apk";

/** The mirrors' URLs for one visitor, without trailing slash. */
export interface Places {
  /** The mirror's name. */
  readonly name: string;
  readonly base: string;
  /** The mirror of debian-security; null if there is none, and for other distributions. */
  readonly security: string | null;
}

/** How to set up the clients of one distribution. */
export interface DistroSetup {
  readonly manager: PackageManager;
  /** Values of `ID` in os-release(5). */
  readonly systems: readonly string[];
  /** Which field of os-release names the release in the sources, and an example for pages that do not know the visitor's release. */
  readonly release: { readonly from: "codename" | "version" | "major"; readonly example: string };
  /** The file for the sources; for apk the distribution's own file, in which only the addresses change. */
  readonly file: string;
  /** Sources by release. The first match holds: a release's name, a prefix such as `15.*`, or `*` for all. */
  readonly variants: readonly { readonly match: string; readonly sources: (places: Places, release: string) => string }[];
  /** Which of the distribution's own sources the script turns off: an extended regular expression that matches such a stanza. */
  readonly replaces: string;
}

/** Stands for the release in a script; the script finds out the client's own and replaces this. */
export const RELEASE_MARK = "@RELEASE@";

const KEYS = "file:///etc/pki/rpm-gpg/RPM-GPG-KEY";

/** Matches an archive at the top of a server or in its `pub/`. A deeper folder, such as `/linux/debian`, is a third party's archive. */
const archive = (name: string): string => `://[^/ ]+(/pub)?/${name}/?`;

/** `replaces` for Debian if its security archive is not mirrored. */
export const DEBIAN_ALONE = archive("debian");

/** Set-ups for the repositories that each distribution enables itself. Other repositories keep their own addresses. */
export const SETUPS: Readonly<Record<Exclude<Distro, "koji">, DistroSetup>> = {
  debian: {
    manager: "apt",
    systems: ["debian"],
    release: { from: "codename", example: "trixie" },
    file: "/etc/apt/sources.list.d/lazy-mirror-@NAME@.sources",
    variants: [
      { match: "sid", sources: ({ base }) => debStanza(base, "sid", "debian") },
      {
        match: "*",
        sources: ({ base, security }, release) =>
          [
            debStanza(base, `${release} ${release}-updates`, "debian"),
            ...(security === null ? [] : [debStanza(security, `${release}-security`, "debian")]),
          ].join("\n"),
      },
    ],
    replaces: archive("debian(-security)?"),
  },
  "debian-security": {
    manager: "apt",
    systems: ["debian"],
    release: { from: "codename", example: "trixie" },
    file: "/etc/apt/sources.list.d/lazy-mirror-@NAME@.sources",
    variants: [{ match: "*", sources: ({ base }, release) => debStanza(base, `${release}-security`, "debian") }],
    replaces: archive("debian-security"),
  },
  ubuntu: {
    manager: "apt",
    systems: ["ubuntu"],
    release: { from: "codename", example: "noble" },
    file: "/etc/apt/sources.list.d/lazy-mirror-@NAME@.sources",
    variants: [
      {
        match: "*",
        sources: ({ base }, release) =>
          debStanza(base, ["", "-updates", "-backports", "-security"].map((pocket) => release + pocket).join(" "), "ubuntu"),
      },
    ],
    replaces: archive("ubuntu"),
  },
  fedora: {
    manager: "dnf",
    systems: ["fedora"],
    release: { from: "version", example: "43" },
    file: "/etc/yum.repos.d/lazy-mirror-@NAME@.repo",
    variants: [
      {
        match: "rawhide",
        sources: (places) => repo(places, { rawhide: "development/rawhide/Everything/$basearch/os/" }, `${KEYS}-fedora-rawhide-$basearch`),
      },
      {
        match: "*",
        sources: (places) =>
          repo(
            places,
            { fedora: "releases/$releasever/Everything/$basearch/os/", updates: "updates/$releasever/Everything/$basearch/" },
            `${KEYS}-fedora-$releasever-$basearch`,
          ),
      },
    ],
    replaces: String.raw`^\[(fedora|updates|rawhide)\]`,
  },
  epel: {
    manager: "dnf",
    systems: ["rhel", "centos", "rocky", "almalinux", "ol"],
    release: { from: "major", example: "10" },
    file: "/etc/yum.repos.d/lazy-mirror-@NAME@.repo",
    variants: [
      { match: "*", sources: (places, release) => repo(places, { epel: `${release}/Everything/$basearch/` }, `${KEYS}-EPEL-${release}`) },
    ],
    replaces: String.raw`^\[epel\]`,
  },
  "centos-stream": {
    manager: "dnf",
    systems: ["centos"],
    release: { from: "major", example: "10" },
    file: "/etc/yum.repos.d/lazy-mirror-@NAME@.repo",
    variants: [
      { match: "9", sources: (places) => repo(places, elTrees("9-stream", ["BaseOS", "AppStream"]), `${KEYS}-centosofficial`) },
      {
        match: "*",
        sources: (places, release) => repo(places, elTrees(`${release}-stream`, ["BaseOS", "AppStream"]), `${KEYS}-centosofficial-SHA256`),
      },
    ],
    replaces: String.raw`^\[(baseos|appstream)\]`,
  },
  rocky: {
    manager: "dnf",
    systems: ["rocky"],
    release: { from: "major", example: "10" },
    file: "/etc/yum.repos.d/lazy-mirror-@NAME@.repo",
    variants: [
      {
        match: "8",
        sources: (places) => repo(places, elTrees("$releasever", ["BaseOS", "AppStream", "extras"]), `${KEYS}-rockyofficial`),
      },
      {
        match: "*",
        sources: (places, release) => repo(places, elTrees("$releasever", ["BaseOS", "AppStream", "extras"]), `${KEYS}-Rocky-${release}`),
      },
    ],
    replaces: String.raw`^\[(baseos|appstream|extras)\]`,
  },
  almalinux: {
    manager: "dnf",
    systems: ["almalinux"],
    release: { from: "major", example: "10" },
    file: "/etc/yum.repos.d/lazy-mirror-@NAME@.repo",
    variants: [
      { match: "8", sources: (places) => repo(places, elTrees("$releasever", ["BaseOS", "AppStream", "extras"]), `${KEYS}-AlmaLinux`) },
      {
        match: "*",
        sources: (places, release) =>
          repo(places, elTrees("$releasever", ["BaseOS", "AppStream", "extras"]), `${KEYS}-AlmaLinux-${release}`),
      },
    ],
    replaces: String.raw`^\[(baseos|appstream|extras)\]`,
  },
  opensuse: {
    manager: "zypper",
    systems: ["opensuse-leap", "opensuse-tumbleweed"],
    release: { from: "version", example: "tumbleweed" },
    file: "/etc/zypp/repos.d/lazy-mirror-@NAME@.repo",
    variants: [
      {
        match: "tumbleweed",
        sources: (places) =>
          repo(places, { oss: "tumbleweed/repo/oss/", "non-oss": "tumbleweed/repo/non-oss/", update: "update/tumbleweed/" }),
      },
      {
        match: "15.*",
        sources: (places) =>
          repo(places, {
            oss: "distribution/leap/$releasever/repo/oss/",
            "non-oss": "distribution/leap/$releasever/repo/non-oss/",
            update: "update/leap/$releasever/oss/",
            "update-non-oss": "update/leap/$releasever/non-oss/",
            "update-sle": "update/leap/$releasever/sle/",
            "update-backports": "update/leap/$releasever/backports/",
          }),
      },
      {
        match: "*",
        sources: (places) =>
          repo(places, {
            oss: "distribution/leap/$releasever/repo/oss/$basearch/",
            "non-oss": "distribution/leap/$releasever/repo/non-oss/$basearch/",
          }),
      },
    ],
    replaces: String.raw`opensuse\.org/(distribution|update|tumbleweed)/|^\[openSUSE\]`,
  },
  archlinux: {
    manager: "pacman",
    systems: ["arch"],
    release: { from: "version", example: "rolling" },
    file: "/etc/pacman.d/mirrorlist",
    variants: [{ match: "*", sources: ({ base }) => `Server = ${base}/$repo/os/$arch\n` }],
    replaces: "",
  },
  alpine: {
    manager: "apk",
    systems: ["alpine"],
    release: { from: "version", example: "v3.22" },
    file: "/etc/apk/repositories",
    variants: [{ match: "*", sources: ({ base }, release) => `${base}/${release}/main\n${base}/${release}/community\n` }],
    replaces: "",
  },
};

/** The content of the sources file for a release. */
export function formatSources(setup: DistroSetup, places: Places, release: string): string {
  return setup.variants.find(({ match }) => matches(match, release))?.sources(places, release) ?? "";
}

/** Path of the sources file for the mirror `name`. */
export function sourcesFile(setup: DistroSetup, name: string): string {
  return setup.file.replace("@NAME@", name);
}

function matches(pattern: string, release: string): boolean {
  return pattern === release || (pattern.endsWith("*") && release.startsWith(pattern.slice(0, -1)));
}

/** One deb822 stanza (sources.list(5)). */
function debStanza(uri: string, suites: string, keyring: "debian" | "ubuntu"): string {
  const components = keyring === "debian" ? "main" : "main restricted universe multiverse";
  return [
    "Types: deb",
    `URIs: ${uri}`,
    `Suites: ${suites}`,
    `Components: ${components}`,
    `Signed-By: /usr/share/keyrings/${keyring}-archive-keyring.gpg`,
    "",
  ].join("\n");
}

/** A .repo file. Without `gpgkey` the client checks signatures with the keys that the distribution installed (zypper). */
function repo(places: Places, trees: Readonly<Record<string, string>>, gpgkey?: string): string {
  return Object.entries(trees)
    .map(([id, path]) =>
      [
        `[lazy-mirror-${places.name}-${id}]`,
        `name=${places.name} ${id}`,
        `baseurl=${places.base}/${path}`,
        "enabled=1",
        "gpgcheck=1",
        ...(gpgkey === undefined ? ["autorefresh=1"] : [`gpgkey=${gpgkey}`]),
        "",
      ].join("\n"),
    )
    .join("\n");
}

function elTrees(release: string, trees: readonly string[]): Record<string, string> {
  return Object.fromEntries(trees.map((tree) => [tree.toLowerCase(), `${release}/${tree}/$basearch/os/`]));
}
