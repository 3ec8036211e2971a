import { type NamedDigest, parseHashName } from "./content-address.ts";

export type RepositoryKind = "rpm-md" | "deb" | "pacman" | "apk";

/** Where a metadata path stands: in which repository, under which root, in what role. */
export interface Place {
  readonly kind: RepositoryKind;
  /** Folder that the packages' paths are relative to, without slashes at the ends; with the mirror it names the Durable Object. */
  readonly base: string;
  /**
   * Names the root within its repository: the folder of repomd.xml or InRelease, or the path of a database that stands alone.
   * For a deb member a guess (suites and components may both hold slashes): a known root whose folder is a longer prefix is the better one.
   */
  readonly root: string;
  readonly role: "root" | "companion" | "member" | "hashed";
  /** The digest that the path itself carries (`hashed`). */
  readonly digest?: NamedDigest;
}

const DEB_ROOTS: ReadonlySet<string> = new Set(["InRelease", "Release", "Release.gpg"]);

/** Tells the repository that a decoded canonical path below a mirror belongs to, or null where it is no repository metadata. */
export function resolvePlace(path: string): Place | null {
  const { folder, name } = split(path);
  if (name === "") return null;
  return rpmPlace(folder, name) ?? debPlace(path, folder, name) ?? alonePlace(path, folder, name);
}

/** The root files of a repository in the order in which to ask for them: the first that exists is the root. */
export function rootFiles(place: Pick<Place, "kind" | "root">): readonly string[] {
  if (place.kind === "rpm-md") return [`${place.root}/repomd.xml`];
  if (place.kind === "deb") return [join(place.root, "InRelease"), join(place.root, "Release")];
  return [place.root];
}

/** The files that must move together with a root file: signatures, keys, and the detached twin of an InRelease. */
export function companionFiles(kind: RepositoryKind, rootFile: string): readonly string[] {
  if (kind === "rpm-md") return [`${rootFile}.asc`, `${rootFile}.key`];
  if (kind === "pacman") return [`${rootFile}.sig`];
  if (kind === "apk") return [];
  const { folder, name } = split(rootFile);
  return name === "InRelease" ? [join(folder, "Release"), join(folder, "Release.gpg")] : [join(folder, "Release.gpg")];
}

/** `a/b` + `c`; the empty folder is the mirror's top. */
export function join(folder: string, name: string): string {
  return folder === "" ? name : `${folder}/${name}`;
}

function split(path: string): { folder: string; name: string } {
  const slash = path.lastIndexOf("/");
  return { folder: path.slice(0, Math.max(slash, 0)), name: path.slice(slash + 1) };
}

function rpmPlace(folder: string, name: string): Place | null {
  const match = /^(?:(.*)\/)?repodata$/.exec(folder);
  if (match === null) return null;
  const place = { kind: "rpm-md", base: match[1] ?? "", root: folder } as const;
  if (name === "repomd.xml") return { ...place, role: "root" };
  if (name === "repomd.xml.asc" || name === "repomd.xml.key") return { ...place, role: "companion" };
  const digest = parseHashName(name);
  return digest === null ? { ...place, role: "member" } : { ...place, role: "hashed", digest };
}

function debPlace(path: string, folder: string, name: string): Place | null {
  const digest = parseHashName(path);
  const inDists = /^(?:(.*?)\/)?dists\/([^/]+)/.exec(path);
  // `main/binary-amd64/Release` is a member that InRelease lists, not a root.
  const isRoot = DEB_ROOTS.has(name) && !/(^|\/)(binary-[^/]+|source)$/.test(folder);
  if (inDists !== null) {
    const archive = inDists[1] ?? "";
    const root = isRoot ? folder : join(archive, `dists/${inDists[2]}`);
    return debRole(archive, root, isRoot, name, digest);
  }
  if (digest !== null) {
    const flat = folder.replace(/(^|\/)by-hash\/[^/]+$/, "");
    return debRole(flat, flat, false, name, digest);
  }
  return isRoot || /^(Packages|Sources|Contents|Translation)\b/.test(name) ? debRole(folder, folder, isRoot, name, null) : null;
}

function debRole(base: string, root: string, isRoot: boolean, name: string, digest: NamedDigest | null): Place {
  if (digest !== null) return { kind: "deb", base, root, role: "hashed", digest };
  return { kind: "deb", base, root, role: isRoot ? (name === "InRelease" ? "root" : "companion") : "member" };
}

/** pacman's databases and Alpine's index: each stands alone, with its detached signature at most. */
function alonePlace(path: string, folder: string, name: string): Place | null {
  if (name === "APKINDEX.tar.gz") return { kind: "apk", base: folder, root: path, role: "root" };
  const match = /^(.+\.(?:db|files)(?:\.tar(?:\.[a-z0-9]+)?)?)(\.sig)?$/.exec(name);
  if (match === null) return null;
  return { kind: "pacman", base: folder, root: join(folder, match[1] ?? ""), role: match[2] === undefined ? "root" : "companion" };
}
