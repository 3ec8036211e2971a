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

/** How the set-up script knows the distribution's own sources. All but `ids` are extended regular expressions. */
export interface OwnSources {
  /** The distribution's servers. */
  readonly hosts: string;
  /** Where the mirrored tree starts on a server, after the first slash (dnf, zypper). */
  readonly folder?: string;
  /** What of the tree is mirrored, below `folder`; default: all. */
  readonly within?: string;
  /** URLs that give lists of servers for the tree (dnf). */
  readonly lists?: string;
  /** Paths of repositories by id, for those without the path in their .repo file (dnf). */
  readonly ids?: Readonly<Record<string, string>>;
  /** The start of the names of the distribution's keyrings (apt). */
  readonly keyring?: string;
}

/** How to set up the clients of one distribution. */
export interface DistroSetup {
  readonly manager: PackageManager;
  /** Values of `ID` in os-release(5). */
  readonly systems: readonly string[];
  /** Which field of os-release names the release in the sources, and an example for pages that do not know the visitor's release. */
  readonly release: { readonly from: "codename" | "version" | "major"; readonly example: string };
  /** Sources by release. The first match holds: a release's name, a prefix such as `15.*`, or `*` for all. */
  readonly variants: readonly { readonly match: string; readonly sources: (places: Places, release: string) => string }[];
  /** Which of the machine's sources are the distribution's. */
  readonly own: OwnSources;
}

/** Stands for the release in a script; the script finds out the client's own and replaces this. */
export const RELEASE_MARK = "@RELEASE@";

const DEBIAN_HOSTS = String.raw`([a-z0-9-]+\.)*deb\.debian\.org|(ftp[0-9]*|security|security-cdn)(\.[a-z0-9-]+)?\.debian\.org|(http|httpredir|cdn|cloudfront)\.debian\.(net|org)`;

/** Set-ups for the repositories that each distribution enables itself. Other repositories keep their own addresses. */
export const SETUPS: Readonly<Record<Exclude<Distro, "koji">, DistroSetup>> = {
  debian: {
    manager: "apt",
    systems: ["debian"],
    release: { from: "codename", example: "trixie" },
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
    own: { hosts: DEBIAN_HOSTS, keyring: "debian" },
  },
  "debian-security": {
    manager: "apt",
    systems: ["debian"],
    release: { from: "codename", example: "trixie" },
    variants: [{ match: "*", sources: ({ base }, release) => debStanza(base, `${release}-security`, "debian") }],
    own: { hosts: DEBIAN_HOSTS, keyring: "debian" },
  },
  ubuntu: {
    manager: "apt",
    systems: ["ubuntu"],
    release: { from: "codename", example: "noble" },
    variants: [
      {
        match: "*",
        sources: ({ base }, release) =>
          debStanza(base, ["", "-updates", "-backports", "-security"].map((pocket) => release + pocket).join(" "), "ubuntu"),
      },
    ],
    own: { hosts: String.raw`([a-z0-9-]+\.)*(archive|security)\.ubuntu\.com|mirrors\.ubuntu\.com`, keyring: "ubuntu" },
  },
  fedora: {
    manager: "dnf",
    systems: ["fedora"],
    release: { from: "version", example: "43" },
    variants: [
      {
        match: "rawhide",
        sources: repositories({ rawhide: "development/rawhide/Everything/$basearch/os/" }, "fedora-rawhide-$basearch"),
      },
      {
        match: "*",
        sources: repositories(
          { fedora: "releases/$releasever/Everything/$basearch/os/", updates: "updates/$releasever/Everything/$basearch/" },
          "fedora-$releasever-$basearch",
        ),
      },
    ],
    own: {
      hosts: String.raw`[a-z0-9-]+\.fedoraproject\.org`,
      folder: "pub/fedora/linux/",
      lists: "[?&]repo=(fedora(-debug|-source)?-[0-9$]|updates-(released|testing)|rawhide)",
      ids: {
        fedora: "releases/$releasever/Everything/$basearch/os/",
        updates: "updates/$releasever/Everything/$basearch/",
        "updates-testing": "updates/testing/$releasever/Everything/$basearch/",
        rawhide: "development/rawhide/Everything/$basearch/os/",
      },
    },
  },
  epel: {
    manager: "dnf",
    systems: ["rhel", "centos", "rocky", "almalinux", "ol"],
    release: { from: "major", example: "10" },
    variants: [{ match: "*", sources: repositories({ epel: `${RELEASE_MARK}/Everything/$basearch/` }, `EPEL-${RELEASE_MARK}`) }],
    own: {
      hosts: String.raw`[a-z0-9-]+\.fedoraproject\.org`,
      folder: "pub/epel/",
      lists: "[?&]repo=epel-((testing|debug|source|next|z)-)*[0-9$]",
      ids: { epel: `${RELEASE_MARK}/Everything/$basearch/`, "epel-testing": `testing/${RELEASE_MARK}/Everything/$basearch/` },
    },
  },
  "centos-stream": enterpriseLinux({
    system: "centos",
    folder: `${RELEASE_MARK}-stream`,
    trees: ["BaseOS", "AppStream"],
    keys: { 9: "centosofficial", "*": "centosofficial-SHA256" },
    own: { hosts: String.raw`mirror\.stream\.centos\.org`, lists: "[?&]repo=centos-[a-z]+-((debug|source)-)?[0-9$]", ids: centosIds() },
  }),
  rocky: enterpriseLinux({
    system: "rocky",
    folder: "$releasever",
    trees: ["BaseOS", "AppStream", "extras"],
    keys: { 8: "rockyofficial", "*": `Rocky-${RELEASE_MARK}` },
    own: {
      hosts: String.raw`(dl|download)\.rockylinux\.org`,
      folder: String.raw`(pub/rocky|\$contentdir)/`,
      lists: String.raw`mirrors\.rockylinux\.org/`,
    },
  }),
  almalinux: enterpriseLinux({
    system: "almalinux",
    folder: "$releasever",
    trees: ["BaseOS", "AppStream", "extras"],
    keys: { 8: "AlmaLinux", "*": `AlmaLinux-${RELEASE_MARK}` },
    own: { hosts: String.raw`repo\.almalinux\.org`, folder: "almalinux/", lists: String.raw`mirrors\.almalinux\.org/` },
  }),
  opensuse: {
    manager: "zypper",
    systems: ["opensuse-leap", "opensuse-tumbleweed"],
    release: { from: "version", example: "tumbleweed" },
    variants: [
      {
        match: "tumbleweed",
        sources: repositories({ oss: "tumbleweed/repo/oss/", "non-oss": "tumbleweed/repo/non-oss/", update: "update/tumbleweed/" }),
      },
      {
        match: "15.*",
        sources: repositories({
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
        sources: repositories({
          oss: "distribution/leap/$releasever/repo/oss/$basearch/",
          "non-oss": "distribution/leap/$releasever/repo/non-oss/$basearch/",
        }),
      },
    ],
    own: {
      hosts: String.raw`[a-z0-9-]+\.opensuse\.org`,
      within: "(distribution|update|tumbleweed|source|debug)/",
    },
  },
  archlinux: {
    manager: "pacman",
    systems: ["arch"],
    release: { from: "version", example: "rolling" },
    variants: [{ match: "*", sources: ({ base }) => `Server = ${base}/$repo/os/$arch\n` }],
    own: { hosts: "" },
  },
  alpine: {
    manager: "apk",
    systems: ["alpine"],
    release: { from: "version", example: "v3.22" },
    variants: [{ match: "*", sources: ({ base }, release) => `${base}/${release}/main\n${base}/${release}/community\n` }],
    own: { hosts: String.raw`([a-z0-9-]+\.)*alpinelinux\.org` },
  },
};

/** The content of the sources file for a release. */
export function formatSources(setup: DistroSetup, places: Places, release: string): string {
  const isFor = (match: string) => match === release || (match.endsWith("*") && release.startsWith(match.slice(0, -1)));
  return setup.variants.find(({ match }) => isFor(match))?.sources(places, release) ?? "";
}

/** Path of the sources file for the mirror `name`; for apk the distribution's own file, in which only the addresses change. */
export function sourcesFile({ manager }: DistroSetup, name: string): string {
  switch (manager) {
    case "apt":
      return `/etc/apt/sources.list.d/lazy-mirror-${name}.sources`;
    case "dnf":
      return `/etc/yum.repos.d/lazy-mirror-${name}.repo`;
    case "zypper":
      return `/etc/zypp/repos.d/lazy-mirror-${name}.repo`;
    case "pacman":
      return "/etc/pacman.d/mirrorlist";
    case "apk":
      return "/etc/apk/repositories";
  }
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

/**
 * A .repo file of `trees`, paths by id. `key`: the end of the name of the key file that the distribution installed. Without it the client checks signatures
 * with the keys that it has (zypper). `RELEASE_MARK` in them stands for the release.
 */
function repositories(trees: Readonly<Record<string, string>>, key?: string): (places: Places, release: string) => string {
  const last = key === undefined ? "autorefresh=1" : `gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-${key}`;
  return ({ name, base }, release) =>
    Object.entries(trees)
      .map(([id, path]) => `[lazy-mirror-${name}-${id}]\nname=${name} ${id}\nbaseurl=${base}/${path}\nenabled=1\ngpgcheck=1\n${last}\n`)
      .join("\n")
      .replaceAll(RELEASE_MARK, release);
}

/** A distribution like RHEL, with its trees in the folder of each release. `keys`: as in `repositories`, by release as in `variants`. */
function enterpriseLinux(distro: {
  readonly system: string;
  readonly folder: string;
  readonly trees: readonly string[];
  readonly keys: Readonly<Record<string, string>>;
  readonly own: OwnSources;
}): DistroSetup {
  const paths = Object.fromEntries(distro.trees.map((tree) => [tree.toLowerCase(), `${distro.folder}/${tree}/$basearch/os/`]));
  return {
    manager: "dnf",
    systems: [distro.system],
    release: { from: "major", example: "10" },
    variants: Object.entries(distro.keys).map(([match, key]) => ({ match, sources: repositories(paths, key) })),
    own: { ...distro.own, ids: { ...paths, ...distro.own.ids } },
  };
}

/** The .repo files of CentOS Stream name lists of servers alone, and no paths. */
function centosIds(): Record<string, string> {
  const trees = ["BaseOS", "AppStream", "CRB", "HighAvailability", "ResilientStorage", "NFV", "RT"];
  const ids = trees.flatMap((tree) => {
    const [id, root] = [tree.toLowerCase(), `$stream/${tree}`];
    return [
      [id, `${root}/$basearch/os/`],
      [`${id}-debuginfo`, `${root}/$basearch/debug/tree/`],
      [`${id}-debug`, `${root}/$basearch/debug/tree/`],
      [`${id}-source`, `${root}/source/tree/`],
    ];
  });
  return Object.fromEntries([...ids, ["extras-common", "SIGs/$stream/extras/$basearch/extras-common/"]]);
}
