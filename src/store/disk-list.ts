import type { DiskFiles } from "./disk-files.ts";
import { readMetaFile } from "./disk-meta.ts";
import { safePath } from "./disk-path.ts";
import { SLICE_PREFIX, bodySize } from "./keys.ts";
import type { ListedObject } from "./object-store.ts";

/**
 * Listed objects with their paths, from after the path `cursor` on, in the order of their paths: slices, then objects. Reads a folder
 * at a time, and the metadata of each object.
 */
export async function* listDisk(files: DiskFiles, prefix: string, cursor: string): AsyncGenerator<readonly [path: string, ListedObject]> {
  const after = cursor.split("/");
  // In this order: "meta" < "slices".
  for (const [root, names, describe] of [
    ["meta", metaNames(prefix), describeObject],
    ["slices", sliceNames(prefix), describeSlice],
  ] as const) {
    if (names === null || root < (after[0] ?? "")) continue;
    for await (const path of walk(files, root, names, root === after[0] ? after.slice(1) : [])) {
      const listed = await describe(files, path);
      if (listed?.key.startsWith(prefix)) yield [path, listed];
    }
  }
}

/** Paths of the files under `folder` that come after `after`, where each folder's name is that in `names`, and the last one begins so. */
async function* walk(files: DiskFiles, folder: string, names: readonly string[], after: readonly string[]): AsyncGenerator<string> {
  const [name = "", ...namesBelow] = names;
  const [first = "", ...afterBelow] = after;
  for (const entry of await files.readFolder(folder)) {
    if (entry.name < first || !(namesBelow.length > 0 ? entry.name === name : entry.name.startsWith(name))) continue;
    const path = `${folder}/${entry.name}`;
    if (entry.isFolder) yield* walk(files, path, namesBelow, entry.name === first ? afterBelow : []);
    else if (entry.name !== first) yield path;
  }
}

async function describeObject(files: DiskFiles, path: string): Promise<ListedObject | null> {
  const meta = await readMetaFile(files, path);
  return meta && { key: meta.key, size: bodySize(meta.object), uploadedAt: meta.modifiedAt };
}

async function describeSlice(files: DiskFiles, path: string): Promise<ListedObject | null> {
  const [, , version = "", index = ""] = path.split("/");
  const file = await files.stat(path);
  return (
    file && {
      key: `${SLICE_PREFIX}${version}/${index}`,
      size: file.size,
      uploadedAt: file.modifiedAt,
    }
  );
}

/** The beginning of a name says little: it may go on in a folder whose ".json" is escaped. */
function metaNames(prefix: string): readonly string[] {
  const folders = prefix.split("/");
  const begin = folders.pop() ?? "";
  const names =
    folders.length === 0
      ? []
      : safePath(`${folders.join("/")}/x`)
          .split("/")
          .slice(0, -1);
  const beginNames = begin === "" ? [""] : safePath(begin).split("/");
  const last = beginNames.pop() ?? "";
  return [...names, ...beginNames, last.slice(0, last.includes(".") ? last.lastIndexOf(".") : last.length)];
}

/** Null where no slice has the prefix. */
function sliceNames(prefix: string): readonly string[] | null {
  if (SLICE_PREFIX.startsWith(prefix)) return [];
  if (!prefix.startsWith(SLICE_PREFIX)) return null;
  const [version = "", ...index] = prefix.slice(SLICE_PREFIX.length).split("/");
  return version.length < 2 ? [version] : [version.slice(0, 2), version, ...index];
}
