import { breathe } from "../clock/timer.ts";
import type { DiskFiles } from "./disk-files.ts";
import { readMetaFile } from "./disk-meta.ts";
import { safePath } from "./disk-path.ts";
import { SLICE_PREFIX, bodySize } from "./keys.ts";
import type { ListedObject } from "./object-store.ts";

/** Files that one turn looks at. The disk service answers at once, so that a long listing would leave the event loop no time for requests. */
const FILES_PER_TURN = 16;

/**
 * Lists what lies under the key prefix with its path, in the order of the paths: objects, then slices. Begins behind the path `cursor`, or at the start
 * where it is empty. Reads one folder at a time, and the metadata of each object.
 */
export async function* listDisk(files: DiskFiles, prefix: string, cursor: string): AsyncGenerator<readonly [path: string, ListedObject]> {
  const after = cursor.split("/");
  let looked = 0;
  // The order of the roots is that of their names, or a cursor would skip one.
  for (const [root, names, readListed] of [
    ["meta", metaNames(prefix), readListedObject],
    ["slices", sliceNames(prefix), readListedSlice],
  ] as const) {
    if (names === null || root < (after[0] ?? "")) continue;
    for await (const path of walkFolder(files, root, names, root === after[0] ? after.slice(1) : [])) {
      if (++looked % FILES_PER_TURN === 0) await breathe();
      const listed = await readListed(files, path);
      if (listed?.key.startsWith(prefix)) yield [path, listed];
    }
  }
}

/**
 * The paths of the files under `folder`, in order.
 * @param names folder names that a path must go through; the last one is only the beginning of a name.
 * @param after names of the path behind which to begin.
 */
async function* walkFolder(files: DiskFiles, folder: string, names: readonly string[], after: readonly string[]): AsyncGenerator<string> {
  const [name = "", ...namesBelow] = names;
  const [first = "", ...afterBelow] = after;
  for (const entry of await files.readFolder(folder)) {
    if (entry.name < first || !(namesBelow.length > 0 ? entry.name === name : entry.name.startsWith(name))) continue;
    const path = `${folder}/${entry.name}`;
    if (entry.isFolder) yield* walkFolder(files, path, namesBelow, entry.name === first ? afterBelow : []);
    else if (entry.name !== first) yield path;
  }
}

async function readListedObject(files: DiskFiles, path: string): Promise<ListedObject | null> {
  const meta = await readMetaFile(files, path);
  return meta && { key: meta.key, size: bodySize(meta.object), uploadedAt: meta.modifiedAt };
}

async function readListedSlice(files: DiskFiles, path: string): Promise<ListedObject | null> {
  const [, , version = "", index = ""] = path.split("/");
  const file = await files.stat(path);
  return file && { key: `${SLICE_PREFIX}${version}/${index}`, size: file.size, uploadedAt: file.modifiedAt };
}

/**
 * The `names` for `walkFolder` that find all metadata of the prefix. The last one is cut before its last dot: a longer name may be that of a folder,
 * whose ".json" is escaped.
 */
function metaNames(prefix: string): readonly string[] {
  const folders = prefix.split("/");
  const begin = folders.pop() ?? "";
  const path = folders.length === 0 ? "" : safePath(`${folders.join("/")}/x`);
  const names = path.split("/").slice(0, -1);
  const beginNames = begin === "" ? [""] : safePath(begin).split("/");
  const last = beginNames.pop() ?? "";
  return [...names, ...beginNames, last.slice(0, last.includes(".") ? last.lastIndexOf(".") : last.length)];
}

/** The `names` for `walkFolder` that find all slices of the prefix; null where no slice's key has it. */
function sliceNames(prefix: string): readonly string[] | null {
  if (SLICE_PREFIX.startsWith(prefix)) return [];
  if (!prefix.startsWith(SLICE_PREFIX)) return null;
  const [version = "", ...index] = prefix.slice(SLICE_PREFIX.length).split("/");
  return version.length < 2 ? [version] : [version.slice(0, 2), version, ...index];
}
