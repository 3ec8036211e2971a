/** Package managers' repositories that the doctor can follow from root to package. */
export type RepositoryKind = "deb" | "rpm-md" | "pacman" | "apk";

/** A file that an index names. */
export interface NamedFile {
  /** Relative to the folder that the index's paths start from. */
  readonly path: string;
  /** Bytes, as the index says. */
  readonly size: number;
}

/** An index as small as this has no package. */
const EMPTY_INDEX_BYTES = 200;

/**
 * The index that a root names, relative to the root's repository: for deb relative to the folder of InRelease, for rpm-md to the folder above `repodata`.
 * Null: the root names none that has packages.
 */
export function indexOfRoot(kind: RepositoryKind, root: string): string | null {
  if (kind === "rpm-md") {
    const primary = /<data\s[^>]*type=["']primary["'][\s\S]*?<\/data>/.exec(root)?.[0] ?? "";
    return /<location\s[^>]*href=["']([^"']+)["']/.exec(primary)?.[1] ?? null;
  }
  // deb822: " <digest> <size> <path>" below SHA256.
  const named = Array.from(root.matchAll(/^ [0-9a-f]{32,128} +(\d+) +(\S+)$/gm), ([, size, path = ""]) => ({ path, size: Number(size) }));
  const indexes = named.filter(({ path, size }) => /(?:^|\/)Packages\.(?:gz|xz|zst|bz2)$/.test(path) && size > EMPTY_INDEX_BYTES);
  const rank = ({ path }: NamedFile): number => (path.includes("/binary-amd64/") ? 0 : path.includes("/binary-all/") ? 1 : 2);
  return indexes.toSorted((a, b) => rank(a) - rank(b) || a.size - b.size)[0]?.path ?? null;
}

/** Files that the text of an index names, or the beginning of that text, in its order. Empty: it is no such index. */
export function filesOfIndex(kind: RepositoryKind, text: string): readonly NamedFile[] {
  switch (kind) {
    case "deb":
      return stanzas(text, (field) => ({ path: field("Filename: "), size: field("Size: ") }));
    case "rpm-md":
      // A location with xml:base is on another server.
      return Array.from(text.matchAll(/<package\s[^>]*type=["']rpm["'][\s\S]*?<\/package>/g), ([entry]) => ({
        path: /<location\s+href=["']([^"']+)["']/.exec(entry)?.[1] ?? "",
        size: Number(/<size\s[^>]*package=["'](\d+)["']/.exec(entry)?.[1] ?? 0),
      })).filter(({ path }) => path !== "");
    case "pacman":
      return Array.from(text.matchAll(/%FILENAME%\n(.+)\n[\s\S]*?%CSIZE%\n(\d+)\n/g), ([, path = "", size]) => ({
        path,
        size: Number(size),
      }));
    case "apk":
      return stanzas(text, (field) => {
        const [name, version] = [field("P:"), field("V:")];
        return { path: name === undefined || version === undefined ? undefined : `${name}-${version}.apk`, size: field("S:") };
      });
  }
}

/** What `read` makes of each paragraph with a path and a size. */
function stanzas(
  text: string,
  read: (field: (name: string) => string | undefined) => { readonly path: string | undefined; readonly size: string | undefined },
): readonly NamedFile[] {
  return text.split("\n\n").flatMap((stanza) => {
    const { path, size } = read((name) => new RegExp(`^${name}(.+)$`, "m").exec(stanza)?.[1]);
    return path === undefined || size === undefined ? [] : [{ path, size: Number(size) }];
  });
}

/** The files to ask for: one of a usual size, another one, and the largest. */
export interface Choice {
  readonly file: NamedFile;
  readonly other: NamedFile;
  /** Absent: none is so large that a part of it would be much less than the whole. */
  readonly large?: NamedFile;
}

const USUAL_BYTES = 300_000;
const LARGE_BYTES = 1_000_000;

/** Null: there is nothing to choose from. */
export function chooseFiles(files: readonly NamedFile[]): Choice | null {
  // Many clients ask for these at once: a large one only where there is no other.
  const distance = ({ size }: NamedFile): number => Math.abs(Math.log(Math.max(size, 1) / USUAL_BYTES)) + (size > LARGE_BYTES ? 100 : 0);
  const [file, other = file] = files.toSorted((a, b) => distance(a) - distance(b));
  const largest = files.toSorted((a, b) => b.size - a.size)[0];
  if (file === undefined || other === undefined) return null;
  return { file, other, ...(largest !== undefined && largest.size > LARGE_BYTES ? { large: largest } : {}) };
}
