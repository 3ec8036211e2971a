import type { Mirror, PathClass } from "../config/config.ts";
import { type Distribution, distributionOf } from "../config/distributions.ts";
import { digestOfLength, type NamedDigest, parseDigest } from "../verify/digest-name.ts";

/**
 * What a path of a mirror is. This table is the only place that judges paths: a request's target carries the answer, and Durable Objects get it.
 * Class and repository never contradict each other: a `root` is a root or companion of a repository, a `member` a member, a `hashed` file has a digest,
 * and nothing else stands in a repository. (A class that the configuration gives may lack the repository: then the file goes by its own name.)
 */
export interface Place {
  readonly class: PathClass;
  /** Name of the row that holds, for /-/why. */
  readonly rule: string;
  readonly repository: RepositoryPlace | null;
}

export type RepositoryKind = "rpm-md" | "deb" | "pacman" | "apk";

/** Where a metadata path stands: in which repository, under which root, in what role. */
export interface RepositoryPlace {
  readonly kind: RepositoryKind;
  /** Folder that the packages' paths are relative to, without slashes at the ends; with the mirror it names the Durable Object. */
  readonly base: string;
  /**
   * Names the root within its repository: the folder of repomd.xml or InRelease, or the path of a database that stands alone. For a deb member it is a
   * guess (suites and components may both hold slashes): a known root whose folder is a longer prefix is the better one.
   */
  readonly root: string;
  readonly role: "root" | "companion" | "member" | "hashed";
  /** The digest that the path itself carries (`hashed`). */
  readonly digest?: NamedDigest;
}

/** A path and its parts, decoded and canonical. */
interface Parts {
  readonly path: string;
  /** Without slash at its end; empty at the mirror's top. */
  readonly folder: string;
  /** Last part of the path; empty for a listing. */
  readonly name: string;
  readonly distribution: Distribution;
}

/** A row holds where `test` is true, or gives a place in a repository. */
interface Row {
  readonly rule: string;
  readonly class: PathClass;
  readonly test: (parts: Parts) => RepositoryPlace | boolean | null | undefined;
}

/** What signs a root, or is the key of what signs it. */
const SIGNATURE_END = /\.(?:asc|gpg|key|sig)$/;
const REPODATA_FOLDER = /^(?:(.*)\/)?repodata$/;
/** Digits of MD5, SHA-1, SHA-256, SHA-384 and SHA-512: a name of 63 or 65 proves nothing, and would never verify. */
const HASHED_NAME = /^([0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})-./;
/** A digest in a name is believed here and in `repodata/` alone: elsewhere it may be a commit. */
const BY_HASH = /^(?:(.*)\/)?by-hash\/(MD5|SHA1|SHA256|SHA384|SHA512)(Sum)?$/;
/** The folder of a suite of a deb archive, or one below it: packages lie beside `dists/`. */
const SUITE_FOLDER = /^(?:(.*?)\/)?dists\/([^/]+)/;
/** What a suite's Release names, in any compression; some names mean this only in a suite's own folder. */
const APT_INDEX =
  /(?:^|\/)(?:(?:Packages|Sources|Contents|Translation)(?:-[^/.]+)?|dists\/.+\/(?:Index|Components-[^/.]+\.yml|Commands-[^/.]+|icons-[^/.]+\.tar))(?:\.(?:gz|bz2|xz|lzma|lz4|zst))?$/;
/** A Release beside one architecture's Packages is named by the suite's, and is no root of its own. */
const ARCHITECTURE_RELEASE = /(?:^|\/)dists\/.+\/(?:binary-[^/]+|source)\/(?:InRelease|Release)$/;
/** `core.db.tar.sig` is what signs `core.db.tar`, and no database of a compression called `sig`. */
const PACMAN_DATABASE = /.\.(?:db|files)(?:\.tar(?:\.(?!(?:asc|gpg|key|sig)$)[a-z0-9]+)?)?$/;

/** A whole word of a name or folder: not `concurrent`, not `libcurrent1_1.deb`. */
const MOVING_WORD = /(?:^|[/._~+-])(?:latest|current)(?:$|[/._~+-])/i;
const MOVING_FOLDER = /(?:^|[/._~+-])(?:daily|weekly|nightly)(?:[._~+-][^/]*)?\//i;
/** cloud-images.ubuntu.com: `release/` is a link to the newest `release-<date>/`. */
const RELEASE_LINK = /(?:^|\/)releases\/[^/]+\/release\//;
/** What boots an installation: one name for every build. */
const INSTALLER =
  /(?:^|\/)(?:pxeboot|isolinux|EFI|LiveOS|os\/images|dists\/.+\/installer-[^/]+)\/|(?:^|\/)(?:\.treeinfo|\.discinfo|treeinfo|boot\.iso|mini\.iso|netboot\.tar\.gz)$/;
const KEY = /^RPM-GPG-KEY|\.(?:key|gpg)$/;

const PACKAGE = /\.(?:d?rpm|u?deb|ddeb|dsc|apk|iso|pkg\.tar(?:\.[a-z0-9]+)?|qcow2|vmdk|vhdx?|vdi|ova|box|wsl)$/;
/** Source tarballs and disk images carry a version or a date; without one it is a name that moves on (`netboot.tar.gz`, `install.img`). */
const VERSIONED_FILE = /\.(?:tar(?:\.(?:gz|bz2|xz|lzma|lz|zst))?|tgz|diff\.gz|(?:img|raw|qcow2|vmdk|vhdx?|squashfs)(?:\.(?:gz|xz|zst))?)$/;
const ARCHITECTURE = /x86[_-]64|amd64|i[3-6]86|arm64|aarch64|armv?\d\w*|armhf|ppc64(?:el|le)?|s390x|riscv64/g;
const DATED_FOLDER = /(?:^|\/)(?:[\w.]*-)?20\d\d[.-]?\d\d[.-]?\d\d[^/]*\/[^/]+$/;

/** In order: the first row that holds. Metadata comes before the deny-list (names that move), and the deny-list before the packages. */
const ROWS: readonly Row[] = [
  { rule: "koji-work", class: "pass", test: ({ path, distribution }) => distribution.passed?.test(path) },
  { rule: "listing", class: "volatile", test: ({ name }) => name === "" },

  { rule: "by-hash", class: "hashed", test: inByHash },
  { rule: "hashed-repodata", class: "hashed", test: hashedInRepodata },
  { rule: "koji-latest", class: "volatile", test: ({ path, distribution }) => distribution.movingFolders?.test(path) },

  {
    rule: "architecture-release",
    class: "member",
    test: (parts) => ARCHITECTURE_RELEASE.test(parts.path.replace(SIGNATURE_END, "")) && inDeb(parts, "member"),
  },
  { rule: "repomd", class: "root", test: (parts) => inRepodata(parts, roleOf(parts.name, "repomd.xml")) },
  { rule: "apt-release", class: "root", test: (parts) => inDeb(parts, roleOf(parts.name, "InRelease", "Release")) },
  { rule: "repodata", class: "member", test: (parts) => inRepodata(parts, "member") },
  { rule: "pacman-database", class: "root", test: (parts) => standingAlone("pacman", PACMAN_DATABASE, parts) },
  { rule: "apkindex", class: "root", test: (parts) => standingAlone("apk", /^APKINDEX\.tar\.gz$/, parts) },
  { rule: "apt-index", class: "member", test: (parts) => APT_INDEX.test(parts.path) && inDeb(parts, "member") },

  { rule: "moving-name", class: "volatile", test: ({ path }) => MOVING_WORD.test(path) },
  { rule: "moving-folder", class: "volatile", test: ({ path }) => MOVING_FOLDER.test(path) || RELEASE_LINK.test(path) },
  { rule: "installer", class: "volatile", test: ({ path }) => INSTALLER.test(path) },
  { rule: "key", class: "volatile", test: ({ name }) => KEY.test(name) },

  {
    rule: "rebuilt-tree",
    class: "unstable-package",
    test: (parts) => parts.distribution.rebuiltTrees?.test(parts.path) === true && isPackage(parts),
  },
  { rule: "package", class: "package", test: isPackage },
];

/** What a decoded canonical path below a mirror is; patterns of the mirror itself come first. Pure. */
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

type RootRole = "root" | "companion";

/** The first of `files` is the root; the others, and what signs any of them, move together with it. */
function roleOf(name: string, ...files: readonly string[]): RootRole | null {
  if (name === files[0]) return "root";
  return files.includes(name.replace(SIGNATURE_END, "")) ? "companion" : null;
}

function inRepodata({ folder }: Parts, role: RootRole | "member" | null): RepositoryPlace | null {
  const match = role === null ? null : REPODATA_FOLDER.exec(folder);
  return role === null || match === null ? null : { kind: "rpm-md", base: match[1] ?? "", root: folder, role };
}

function hashedInRepodata(parts: Parts): RepositoryPlace | null {
  const place = inRepodata(parts, "member");
  const digest = place === null ? null : digestOfLength(HASHED_NAME.exec(parts.name)?.[1] ?? "");
  return place === null || digest === null ? null : { ...place, role: "hashed", digest };
}

/** A suite below `dists/`, or else a flat repository, whose root lies beside its packages (in a folder called `dists`, too). */
function inDeb({ folder }: Pick<Parts, "folder">, role: RootRole | "member" | null): RepositoryPlace | null {
  if (role === null) return null;
  const suite = SUITE_FOLDER.exec(folder);
  if (suite === null) return { kind: "deb", base: folder, root: folder, role };
  const base = suite[1] ?? "";
  const root = role === "member" ? `${base === "" ? "" : `${base}/`}dists/${suite[2]}` : folder;
  return { kind: "deb", base, root, role };
}

function inByHash({ folder, name }: Parts): RepositoryPlace | null {
  const [, above = "", algorithm = "", sum] = BY_HASH.exec(folder) ?? [];
  const digest = /^[0-9a-f]+$/.test(name) && (algorithm === "MD5") === (sum !== undefined) ? parseDigest(algorithm, name) : null;
  const place = inDeb({ folder: above }, "member");
  return place === null || digest === null ? null : { ...place, role: "hashed", digest };
}

/** pacman's databases and Alpine's index: each stands alone, with its detached signature at most. */
function standingAlone(kind: RepositoryKind, file: RegExp, { path, folder, name }: Parts): RepositoryPlace | null {
  if (file.test(name)) return { kind, base: folder, root: path, role: "root" };
  const signed = name.replace(SIGNATURE_END, "");
  return signed !== name && file.test(signed) ? { kind, base: folder, root: path.replace(SIGNATURE_END, ""), role: "companion" } : null;
}

/** A detached signature lives as long as what it signs. */
function isPackage({ path, name }: Parts): boolean {
  const signed = name.replace(/\.(?:asc|sig)$/, "");
  return PACKAGE.test(signed) || (VERSIONED_FILE.test(signed) && (DATED_FOLDER.test(path) || /\d/.test(signed.replace(ARCHITECTURE, ""))));
}
