import { SLICE_PREFIX, sliceKey } from "./keys.ts";

/** The longest file name that we use: file systems take 255 bytes, and the disk service's temporary file has a longer name than the file. */
const MAX_NAME_CHARS = 180;
const UNSAFE = /[^A-Za-z0-9+_~=@,:.-]/gu;
/** The name of an empty component. No other component is encoded to it: an escape ends in hex digits. */
const EMPTY_NAME = "%";

/** Path of the body of an object that is not sliced. */
export function bodyPath(key: string): string {
  return `objects/${safePath(key)}`;
}

/** Path of the metadata of an object. The object exists while this file does. */
function metaPath(key: string): string {
  return `meta/${safePath(key)}.json`;
}

/** The key whose metadata lies at `path`, a file below `meta`; null where it is no key's. The inverse of `metaPath`. */
export function keyOfMeta(path: string): string | null {
  const names = path
    .replace(/^meta\//, "")
    .replace(/\.json$/, "")
    .split("/");
  // A long component is cut anywhere, also inside of an escape.
  const joined = names.map((name, at) => (at === names.length - 1 ? name : isContinued(name) ? name.slice(0, -1) : `${name}/`)).join("");
  const key = joined.split("/").map(decode).join("/");
  return metaPath(key) === path ? key : null;
}

/** What keys have in the place of a folder's or a file's name: of a folder with the slash behind it, unless the component goes on below. */
export function keyPartOf(name: string, isFolder: boolean): string {
  if (!isFolder) return decode(name.replace(/\.json$/, ""));
  return isContinued(name) ? decode(name.slice(0, -1)) : `${decode(name)}/`;
}

function isContinued(name: string): boolean {
  return name !== EMPTY_NAME && name.endsWith("%");
}

/** What is no text in our escapes stays as it is: it is a name of other hands. */
function decode(component: string): string {
  if (!component.includes("%")) return component;
  try {
    return component === EMPTY_NAME ? "" : decodeURIComponent(component);
  } catch {
    return component;
  }
}

export interface DiskPaths {
  readonly key: string;
  readonly meta: string;
  readonly body: string;
  readonly name: string;
}

/** Keys whose paths are remembered; with one more all are forgotten. */
const MAX_KEYS = 4_000;
const lately = new Map<string, DiskPaths>();

/** Where the parts of an object lie; `name`, for the memory, is equal for keys that would share a file on a file system that ignores case. */
export function pathsOf(key: string): DiskPaths {
  const before = lately.get(key);
  if (before !== undefined) return before;
  const body = bodyPath(key);
  const paths = { key, meta: metaPath(key), body, name: body.toLowerCase() };
  if (lately.size >= MAX_KEYS) lately.clear();
  lately.set(key, paths);
  return paths;
}

/** Path of a slice. Throws RangeError where version or index is malformed, and would give the path of something else. */
export function slicePath(version: string, index: number): string {
  return sliceKey(version, index).replace(`${SLICE_PREFIX}${version}`, versionPath(version));
}

/** Path of the folder of a version's slices. */
export function versionPath(version: string): string {
  return `slices/${version.slice(0, 2)}/${version}`;
}

/**
 * The relative path for a key: different for every key, and in characters that every file system takes. Common names stay as they are; other characters
 * are escaped as %XX of their UTF-8, a leading dot too (the disk service refuses hidden names). A long name is continued in a folder whose name ends
 * in %. No folder's name ends in ".json", so the file `a.json` with the metadata of `a` never has the path of a folder.
 */
export function safePath(key: string): string {
  const components = key.split("/");
  return components.flatMap((component, at) => safeNames(component, at < components.length - 1)).join("/");
}

function safeNames(component: string, isFolder: boolean): string[] {
  if (component === "") return [EMPTY_NAME];
  const encoded = component.replace(UNSAFE, percentEncode);
  const pieces: readonly string[] = encoded.match(new RegExp(`.{1,${MAX_NAME_CHARS}}`, "g")) ?? [];
  return pieces.map((piece, at) => {
    const name = piece.replace(/^\./, "%2E");
    if (at < pieces.length - 1) return `${name}%`;
    return isFolder ? name.replace(/\.json$/i, (end) => `%2E${end.slice(1)}`) : name;
  });
}

function percentEncode(character: string): string {
  return Array.from(new TextEncoder().encode(character), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("");
}
