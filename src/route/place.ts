import type { Mirror, PathClass } from "../config/config.ts";
import { type Distribution, distributionOf } from "../config/distributions.ts";
import { digestOfLength, type NamedDigest, parseDigest } from "../verify/expectation.ts";

/**
 * What a path of a mirror is. Only this table judges paths. A `root` is root or companion of a repository, a `member` its member, a `hashed` file has a
 * digest, and nothing else stands in a repository. (A class that the configuration gives may lack the repository: then the file goes by its own name.)
 */
export interface Place {
  readonly class: PathClass;
  /** The row that holds, for /-/why. */
  readonly rule: string;
  readonly repository: RepositoryPlace | null;
}

/** `pair`: a file that stands alone and what signs it, of no package manager's format (checksums, ostree's `summary`). */
export type RepositoryKind = "rpm-md" | "deb" | "pacman" | "apk" | "pair";

/** Where a metadata path stands: in which repository, under which root, in what role. */
export interface RepositoryPlace {
  readonly kind: RepositoryKind;
  /** The folder that the packages' paths are relative to, without slashes at the ends; with the mirror it names the Durable Object. */
  readonly base: string;
  /**
   * Names the root within its repository: the folder of repomd.xml or InRelease, or the path of a database that stands alone. For a deb member a guess
   * (suites and components may both hold slashes): a known root whose folder is a longer prefix is the better one.
   */
  readonly root: string;
  readonly role: "root" | "companion" | "member" | "hashed";
  /**
   * Set where an index stands in for a root, since there is no Release: the path of the one of its forms (`Packages`, `Packages.gz`, …) that was asked for
   * first. `root` is then the path without compression. Never set by `placeOf`: the repository learns it from the upstreams.
   */
  readonly form?: string;
  /** The digest that the path itself carries (`hashed`). */
  readonly digest?: NamedDigest;
}

/** A decoded canonical path and its parts: `folder` without slash at its end. */
interface Parts {
  readonly path: string;
  readonly folder: string;
  /** Empty for a listing. */
  readonly name: string;
  readonly distribution: Distribution;
}

type Role = RepositoryPlace["role"];

/** What signs a root, or is the key of what signs it. */
const SIGNATURE_END = /\.(?:asc|gpg|key|sig)$/;
/** What signs any other file. */
const DETACHED_END = /\.(?:asc|gpg|sig|sign|minisig)$/;
const REPODATA_FOLDER = /^(?:(.*)\/)?repodata$/;
/** A name is taken for a digest only in `repodata/` and `by-hash/`: elsewhere it may be a commit. */
const HASHED_NAME = /^([0-9a-f]+)-./;
const BY_HASH = /^(?:(.*)\/)?by-hash\/(MD5Sum|SHA1|SHA256|SHA384|SHA512)$/;
/** Packages lie beside `dists/`. */
const SUITE_FOLDER = /^(?:(.*?)\/)?dists\/([^/]+)/;
/** Some of these names mean an index only in a suite's folder. */
const APT_INDEX =
  /(?:^|\/)(?:(?:Packages|Sources|Contents|Translation)(?:-[^/.]+)?|dists\/.+\/(?:Index|Components-[^/.]+\.yml|Commands-[^/.]+|icons-[^/.]+\.tar))(?:\.(?:gz|bz2|xz|lzma|lz4|zst))?$/;
/** opkg's `Packages.sig`, and what signs an index of a repository without a Release. */
const INDEX_SIGNATURE = /(?:^|\/)(?:Packages|Sources)(?:\.(?:gz|bz2|xz|lzma|lz4|zst))?\.(?:asc|gpg|sig|sign|minisig)$/;
/** Beside one architecture's Packages: the suite's Release names it, so that it is no root. */
const ARCHITECTURE_RELEASE = /^(?:InRelease|Release)(?:\.(?:asc|gpg|key|sig))?$/;
/** What follows the suite. */
const ARCHITECTURE_FOLDER = /^\/(?:.+\/)?(?:binary-[^/]+|source)$/;
/** `core.db.tar.sig` signs `core.db.tar`: `sig` is no compression. */
const PACMAN_DATABASE = /.\.(?:db|files)(?:\.tar(?:\.(?!(?:asc|gpg|key|sig)$)[a-z0-9]+)?)?$/;

/** Short files that name the others of their folder, and that clients check by a signature beside them: checksums, ostree's `summary`. */
const SIGNED_LIST =
  /^(?:summary|(?:.*[-_.])?(?:MD5|SHA1|SHA224|SHA256|SHA384|SHA512|B2|BLAKE2)SUMS?(?:\.txt)?|(?:.*-)?CHECKSUMS?(?:\.txt)?)$/i;

/** Format 2, and format 3 by the names that apk and OpenWrt give it. */
const APK_INDEX = /^(?:APKINDEX\.tar\.gz|(?:APKINDEX|[Pp]ackages)\.adb)$/;

/** A whole word of a name or folder: not `concurrent`, not `libcurrent1_1.deb`. */
const MOVING_WORD = /(?:^|[/._~+-])(?:latest|current)(?:$|[/._~+-])/i;
const MOVING_FOLDER = /(?:^|[/._~+-])(?:daily|weekly|nightly)(?:[._~+-][^/]*)?\//i;
/** cloud-images.ubuntu.com: `release/` is a link to the newest `release-<date>/`. */
const RELEASE_LINK = /(?:^|\/)releases\/[^/]+\/release\//;
/** One name for every build. */
const INSTALLER =
  /(?:^|\/)(?:pxeboot|isolinux|EFI|LiveOS|os\/images|dists\/.+\/installer-[^/]+)\/|(?:^|\/)(?:\.treeinfo|\.discinfo|treeinfo|boot\.iso|mini\.iso|netboot\.tar\.gz)$/;
const KEY = /^RPM-GPG-KEY|\.(?:key|gpg)$/;

const PACKAGE = /\.(?:d?rpm|u?deb|ddeb|dsc|apk|iso|pkg\.tar(?:\.[a-z0-9]+)?|qcow2|vmdk|vhdx?|vdi|ova|box|wsl)$/;
/** Packages only where they carry a version or a date; without one the name moves on (`netboot.tar.gz`, `install.img`). */
const VERSIONED_FILE = /\.(?:tar(?:\.(?:gz|bz2|xz|lzma|lz|zst))?|tgz|diff\.gz|(?:img|raw|qcow2|vmdk|vhdx?|squashfs)(?:\.(?:gz|xz|zst))?)$/;
const ARCHITECTURE = /x86[_-]64|amd64|i[3-6]86|arm64|aarch64|armv?\d\w*|armhf|ppc64(?:el|le)?|s390x|riscv64/g;
const DATED_FOLDER = /(?:^|\/)(?:[\w.]*-)?20\d\d[.-]?\d\d[.-]?\d\d[^/]*\/[^/]+$/;

/** A row holds where `test` is true or gives a place; the first one wins: metadata, then names that move, then packages. */
const ROWS: readonly {
  readonly rule: string;
  readonly class: PathClass;
  readonly test: (parts: Parts) => RepositoryPlace | boolean | null | undefined;
}[] = [
  { rule: "koji-work", class: "pass", test: ({ path, distribution }) => distribution.passed?.test(path) },
  { rule: "listing", class: "volatile", test: ({ name }) => name === "" },

  { rule: "by-hash", class: "hashed", test: inByHash },
  { rule: "hashed-repodata", class: "hashed", test: hashedInRepodata },
  { rule: "koji-latest", class: "volatile", test: ({ path, distribution }) => distribution.movingFolders?.test(path) },

  { rule: "architecture-release", class: "member", test: besideArchitecture },
  { rule: "repomd", class: "root", test: ({ folder, name }) => inRepodata(folder, roleOf(name, "repomd.xml")) },
  { rule: "apt-release", class: "root", test: ({ folder, name }) => inDeb(folder, roleOf(name, "InRelease", "Release")) },
  { rule: "repodata", class: "member", test: ({ folder }) => inRepodata(folder, "member") },
  { rule: "pacman-database", class: "root", test: (parts) => standingAlone("pacman", PACMAN_DATABASE, parts) },
  { rule: "apkindex", class: "root", test: (parts) => standingAlone("apk", APK_INDEX, parts) },
  { rule: "apt-index", class: "member", test: ({ path, folder }) => APT_INDEX.test(path) && inDeb(folder, "member") },
  { rule: "apt-index-signature", class: "member", test: ({ path, folder }) => INDEX_SIGNATURE.test(path) && inDeb(folder, "member") },
  { rule: "signed-list", class: "root", test: (parts) => standingAlone("pair", SIGNED_LIST, parts, DETACHED_END) },

  { rule: "moving-name", class: "volatile", test: ({ path }) => MOVING_WORD.test(path) },
  { rule: "moving-folder", class: "volatile", test: ({ path }) => MOVING_FOLDER.test(path) || RELEASE_LINK.test(path) },
  { rule: "installer", class: "volatile", test: ({ path }) => INSTALLER.test(path) },
  { rule: "key", class: "volatile", test: ({ name }) => KEY.test(name) },

  { rule: "rebuilt-tree", class: "unstable-package", test: (file) => file.distribution.rebuiltTrees?.test(file.path) && isPackage(file) },
  { rule: "package", class: "package", test: isPackage },
];

/** What a decoded canonical path below a mirror is; the mirror's own patterns come first. */
export function placeOf(mirror: Pick<Mirror, "distro" | "classes">, path: string): Place {
  const own = mirror.classes.find(({ pattern }) => pattern.test(path));
  const builtIn = findRow(distributionOf(mirror.distro), path);
  if (own === undefined) return builtIn;
  const rule = `configured: ${own.pattern.source}`;
  return { class: own.class, rule, repository: own.class === builtIn.class ? builtIn.repository : null };
}

function findRow(distribution: Distribution, path: string): Place {
  const slash = path.lastIndexOf("/");
  const parts = { path, folder: path.slice(0, Math.max(slash, 0)), name: path.slice(slash + 1), distribution };
  for (const { rule, class: pathClass, test } of ROWS) {
    const found = test(parts) ?? false;
    if (found !== false) return { class: pathClass, rule, repository: found === true ? null : found };
  }
  return { class: "volatile", rule: "unknown", repository: null };
}

/** The first of `files` is the root; the others, and what signs any of them, move together with it. */
function roleOf(name: string, ...files: readonly string[]): Role | null {
  if (name === files[0]) return "root";
  return files.includes(name.replace(SIGNATURE_END, "")) ? "companion" : null;
}

function inRepodata(folder: string, role: Role | null): RepositoryPlace | null {
  const match = role && REPODATA_FOLDER.exec(folder);
  return match && { kind: "rpm-md", base: match[1] ?? "", root: folder, role };
}

function hashedInRepodata({ folder, name }: Parts): RepositoryPlace | null {
  const place = inRepodata(folder, "hashed");
  const digest = place && digestOfLength(HASHED_NAME.exec(name)?.[1] ?? "");
  return place && digest && { ...place, digest };
}

/** A suite below `dists/`, or else a flat repository, whose root lies beside its packages (in a folder called `dists`, too). */
function inDeb(folder: string, role: Role | null): RepositoryPlace | null {
  if (role === null) return null;
  const [top, base = "", suite] = SUITE_FOLDER.exec(folder) ?? [];
  if (top === undefined) return { kind: "deb", base: folder, root: folder, role };
  const isBelow = role === "member" || role === "hashed";
  return { kind: "deb", base, root: isBelow ? `${base === "" ? "" : `${base}/`}dists/${suite}` : folder, role };
}

function besideArchitecture({ folder, name }: Parts): RepositoryPlace | null {
  const suite = ARCHITECTURE_RELEASE.test(name) ? SUITE_FOLDER.exec(folder) : null;
  return suite !== null && ARCHITECTURE_FOLDER.test(folder.slice(suite[0].length)) ? inDeb(folder, "member") : null;
}

function inByHash({ folder, name }: Parts): RepositoryPlace | null {
  const [, above = "", algorithm = ""] = BY_HASH.exec(folder) ?? [];
  const digest = /^[0-9a-f]+$/.test(name) ? parseDigest(algorithm.replace("Sum", ""), name) : null;
  const place = digest && inDeb(above, "hashed");
  return place && { ...place, digest };
}

/** A database that is its own root, and its detached signature. */
function standingAlone(kind: RepositoryKind, file: RegExp, { path, folder, name }: Parts, end = SIGNATURE_END): RepositoryPlace | null {
  if (file.test(name)) return { kind, base: folder, root: path, role: "root" };
  const signed = name.replace(end, "");
  return signed !== name && file.test(signed) ? { kind, base: folder, root: path.replace(end, ""), role: "companion" } : null;
}

/** A detached signature lives as long as what it signs. */
function isPackage({ path, name }: Parts): boolean {
  const signed = name.replace(/\.(?:asc|sig)$/, "");
  return PACKAGE.test(signed) || (VERSIONED_FILE.test(signed) && (DATED_FOLDER.test(path) || /\d/.test(signed.replace(ARCHITECTURE, ""))));
}
