import { breathe } from "../clock/timer.ts";
import type { DiskFiles } from "./disk-files.ts";
import { keyOfMeta, keyPartOf, safePath } from "./disk-path.ts";
import { SLICE_PREFIX } from "./keys.ts";
import type { ListedObject } from "./object-store.ts";

/** Folders that one turn reads. The disk service answers at once, so that a long listing would leave the event loop no time for requests. */
const FOLDERS_PER_TURN = 16;

/** A file or folder, and what a key has in its place. */
interface Named {
  readonly name: string;
  readonly isFolder: boolean;
  readonly keyPart: string;
}

/**
 * Lists what lies under the key prefix with its path, in the order of the keys: objects, then slices. (The order is that of UTF-16, not of UTF-8; and keys with
 * a component longer than a file name may stand among those beside it.) Begins behind the path `cursor`, or at the start where it is empty. Reads one folder at a time, and of objects
 * no file: what is listed need not be readable.
 */
export async function* listDisk(files: DiskFiles, prefix: string, cursor: string): AsyncGenerator<readonly [path: string, ListedObject]> {
  const after = cursor.split("/");
  // The order of the roots is that of their names, or a cursor would skip one. All other keys come before those of slices.
  for (const [root, names, describe] of [
    ["meta", metaNames(prefix), nameObject],
    ["slices", sliceNames(prefix), readListedSlice],
  ] as const) {
    if (names === null || root < (after[0] ?? "")) continue;
    const walk: Walk = { files, folders: 0 };
    for await (const path of walkFolder(walk, root, names, root === after[0] ? after.slice(1) : [])) {
      const listed = await describe(files, path);
      if (listed?.key.startsWith(prefix)) yield [path, listed];
    }
  }
}

interface Walk {
  readonly files: DiskFiles;
  /** Those that were read. */
  folders: number;
}

/**
 * The paths of the files under `folder`, in the order of their keys.
 * @param names folder names that a path must go through; the last one is only the beginning of a name.
 * @param after names of the path behind which to begin.
 */
async function* walkFolder(walk: Walk, folder: string, names: readonly string[], after: readonly string[]): AsyncGenerator<string> {
  const [name = "", ...namesBelow] = names;
  const [first = "", ...afterBelow] = after;
  const from = keyPartOf(first, afterBelow.length > 0);
  if (++walk.folders % FOLDERS_PER_TURN === 0) await breathe();
  const entries = (await walk.files.readFolder(folder)).map((entry): Named => ({
    ...entry,
    keyPart: keyPartOf(entry.name, entry.isFolder),
  }));
  for (const entry of entries.toSorted((one, other) => (one.keyPart < other.keyPart ? -1 : 1))) {
    if (entry.keyPart < from || !(namesBelow.length > 0 ? entry.name === name : entry.name.startsWith(name))) continue;
    const path = `${folder}/${entry.name}`;
    if (entry.isFolder) yield* walkFolder(walk, path, namesBelow, entry.name === first ? afterBelow : []);
    else if (entry.name !== first) yield path;
  }
}

async function nameObject(_files: DiskFiles, path: string): Promise<ListedObject | null> {
  const key = keyOfMeta(path);
  return key === null ? null : { key };
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
