import type { Distro, Mirror, PathClass } from "../config/config.ts";

interface Place {
  readonly distro: Distro | undefined;
  /** Decoded canonical path below the mirror. */
  readonly path: string;
  /** Last part of the path. */
  readonly name: string;
}

interface Rule {
  readonly name: string;
  readonly class: PathClass;
  readonly test: (place: Place) => boolean;
}

const REPOMD = /^repomd\.xml$/;
const RELEASE = /^(?:InRelease|Release)$/;
const PACMAN_DATABASE = /\.(?:db|files)(?:\.tar(?:\.[a-z0-9]+)?)?$/;
const APKINDEX = /^APKINDEX\.tar\.gz$/;

/** Digits of MD5, SHA-1, SHA-256, SHA-384 and SHA-512. A name of 63 or 65 proves nothing, and would never verify. */
const HASHED_REPODATA = /(?:^|\/)repodata\/(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})-[^/]+$/;
const BY_HASH =
  /(?:^|\/)by-hash\/(?:MD5Sum\/[0-9a-f]{32}|SHA1\/[0-9a-f]{40}|SHA256\/[0-9a-f]{64}|SHA384\/[0-9a-f]{96}|SHA512\/[0-9a-f]{128})$/;

/** What a suite's Release names, in any compression; some names mean this only in a suite's own folder. */
const APT_INDEX =
  /(?:^|\/)(?:(?:Packages|Sources|Contents|Translation)(?:-[^/.]+)?|dists\/.+\/(?:Index|Components-[^/.]+\.yml|Commands-[^/.]+|icons-[^/.]+\.tar))(?:\.(?:gz|bz2|xz|lzma|lz4|zst))?$/;
/** A Release beside one architecture's Packages is named by the suite's, and is no root of its own. */
const ARCHITECTURE_RELEASE = /(?:^|\/)dists\/.+\/(?:binary-[^/]+|source)\/Release$/;

/** A whole word of a name or folder: not `concurrent`, not `libcurrent1_1.deb`. */
const MOVING_WORD = /(?:^|[/._~+-])(?:latest|current)(?:$|[/._~+-])/i;
const MOVING_FOLDER = /(?:^|[/._~+-])(?:daily|weekly|nightly)(?:[._~+-][^/]*)?\//i;
/** cloud-images.ubuntu.com: `release/` is a link to the newest `release-<date>/`. */
const UBUNTU_RELEASE_LINK = /(?:^|\/)releases\/[^/]+\/release\//;
/** What boots an installation: one name for every build. */
const INSTALLER =
  /(?:^|\/)(?:pxeboot|isolinux|EFI|LiveOS|os\/images|dists\/.+\/installer-[^/]+)\/|(?:^|\/)(?:\.treeinfo|\.discinfo|treeinfo|boot\.iso|mini\.iso|netboot\.tar\.gz)$/;
const KEY = /^RPM-GPG-KEY|\.(?:key|gpg)$/;

const REBUILT_TREES: Partial<Record<Distro, RegExp>> = {
  fedora: /(?:^|\/)(?:development|rawhide)\//,
  opensuse: /(?:^|\/)(?:tumbleweed|slowroll|factory)\/|(?:^|\/)repositories\//,
  alpine: /^edge\//,
};

const PACKAGE = /\.(?:d?rpm|u?deb|ddeb|dsc|apk|iso|pkg\.tar(?:\.[a-z0-9]+)?|qcow2|vmdk|vhdx?|vdi|ova|box|wsl)$/;
/** Source tarballs and disk images carry a version or a date; without one it is a name that moves on (`netboot.tar.gz`, `install.img`). */
const VERSIONED_FILE = /\.(?:tar(?:\.(?:gz|bz2|xz|lzma|lz|zst))?|tgz|diff\.gz|(?:img|raw|qcow2|vmdk|vhdx?|squashfs)(?:\.(?:gz|xz|zst))?)$/;
const ARCHITECTURE = /x86[_-]64|amd64|i[3-6]86|arm64|aarch64|armv?\d\w*|armhf|ppc64(?:el|le)?|s390x|riscv64/g;
const DATED_FOLDER = /(?:^|\/)(?:[\w.]*-)?20\d\d[.-]?\d\d[.-]?\d\d[^/]*\/[^/]+$/;

/** In order: the first that holds gives the class. Metadata comes before the deny-list, and the deny-list before the packages. */
const RULES: readonly Rule[] = [
  { name: "koji-work", class: "pass", test: ({ distro, path }) => distro === "koji" && path.startsWith("work/") },
  { name: "listing", class: "volatile", test: ({ name }) => name === "" },

  { name: "by-hash", class: "hashed", test: ({ path }) => BY_HASH.test(path) },
  { name: "hashed-repodata", class: "hashed", test: ({ path }) => HASHED_REPODATA.test(path) },
  // A link that koji moves to each newer repository.
  {
    name: "koji-latest",
    class: "volatile",
    test: ({ distro, path }) => distro === "koji" && /^repos(?:-[^/]+)?\/[^/]+\/latest\//.test(path),
  },

  { name: "architecture-release", class: "member", test: ({ path }) => ARCHITECTURE_RELEASE.test(path) },
  { name: "repomd", class: "root", test: ({ name }) => isRoot(name, REPOMD) },
  { name: "apt-release", class: "root", test: ({ name }) => isRoot(name, RELEASE) },
  { name: "pacman-database", class: "root", test: ({ name }) => isRoot(name, PACMAN_DATABASE) },
  { name: "apkindex", class: "root", test: ({ name }) => isRoot(name, APKINDEX) },
  { name: "repodata", class: "member", test: ({ path }) => /(?:^|\/)repodata\/[^/]+$/.test(path) },
  { name: "apt-index", class: "member", test: ({ path }) => APT_INDEX.test(path) },

  { name: "moving-name", class: "volatile", test: ({ path }) => MOVING_WORD.test(path) },
  { name: "moving-folder", class: "volatile", test: ({ path }) => MOVING_FOLDER.test(path) || UBUNTU_RELEASE_LINK.test(path) },
  { name: "installer", class: "volatile", test: ({ path }) => INSTALLER.test(path) },
  { name: "key", class: "volatile", test: ({ name }) => KEY.test(name) },

  { name: "rebuilt-tree", class: "unstable-package", test: ({ distro, path, name }) => isRebuilt(distro, path) && isPackage(path, name) },
  { name: "package", class: "package", test: ({ path, name }) => isPackage(path, name) },
];

/** The class of a path and the name of the rule that gave it; patterns of the mirror itself come first. */
export function classifyPath(
  mirror: Pick<Mirror, "distro" | "classes">,
  path: string,
): { readonly class: PathClass; readonly rule: string } {
  const own = mirror.classes.find(({ pattern }) => pattern.test(path));
  if (own !== undefined) return { class: own.class, rule: `configured: ${own.pattern.source}` };
  const place = { distro: mirror.distro, path, name: path.slice(path.lastIndexOf("/") + 1) };
  const rule = RULES.find(({ test }) => test(place));
  return rule === undefined ? { class: "volatile", rule: "unknown" } : { class: rule.class, rule: rule.name };
}

/** The file itself, or what signs it and must move with it. */
function isRoot(name: string, root: RegExp): boolean {
  return root.test(name) || root.test(name.replace(/\.(?:asc|gpg|key|sig)$/, ""));
}

/** A repository of no distribution we know is taken for one that pushes other bytes under an old name: many do. */
function isRebuilt(distro: Distro | undefined, path: string): boolean {
  return distro === undefined || (REBUILT_TREES[distro]?.test(path) ?? false);
}

/** A detached signature lives as long as what it signs. */
function isPackage(path: string, name: string): boolean {
  const signed = name.replace(/\.(?:asc|sig)$/, "");
  return PACKAGE.test(signed) || (VERSIONED_FILE.test(signed) && (DATED_FOLDER.test(path) || /\d/.test(signed.replace(ARCHITECTURE, ""))));
}
