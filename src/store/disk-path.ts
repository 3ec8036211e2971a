/** Longest piece of a file name: file systems take 255 bytes, and a writer's temporary name is longer than the name itself. */
const MAX_NAME_CHARS = 180;
const UNSAFE = /[^A-Za-z0-9+_~=@,:.-]/gu;
/** No empty component has this name otherwise: an encoding ends in hex digits. */
const EMPTY_NAME = "%";

/** Where the body of an inline object lies. */
export function bodyPath(key: string): string {
  return `objects/${safePath(key)}`;
}

/** Where the metadata of an object lies: its being there is what makes the object exist. */
export function metaPath(key: string): string {
  return `meta/${safePath(key)}.json`;
}

export function slicePath(version: string, index: number): string {
  return `${versionPath(version)}/${index}`;
}

/** The folder of a version's slices. */
export function versionPath(version: string): string {
  return `slices/${version.slice(0, 2)}/${version}`;
}

/**
 * A relative path for a key, different for every key, in characters that every file system takes. Natural names stay as they are; others
 * are escaped as %XX of UTF-8, a leading dot too (the disk service refuses hidden names). A long name goes on in a folder, marked by
 * a final %. A folder never ends in ".json", so the file `a.json` that describes `a` can stand in no folder's way.
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
