import type { DiskFiles } from "./disk-files.ts";
import { parseJson, parseStoredObject } from "./keys.ts";
import type { StoredObject } from "./stored-object.ts";

/** Longer files are not ours: the metadata itself is limited to 2 KiB. */
const MAX_META_BYTES = 16_384;

/** A metadata file. It holds the key in full, because two keys may share a path where the file system ignores case. */
interface MetaFile {
  readonly key: string;
  readonly object: StoredObject;
  /** Milliseconds since the epoch; the disk service gives whole seconds. */
  readonly modifiedAt: number;
}

/** Reads a metadata file; null where there is no file, or not one that this program wrote. */
export async function readMetaFile(files: DiskFiles, path: string): Promise<MetaFile | null> {
  const file = await files.read(path, MAX_META_BYTES);
  if (file === null) return null;
  const value = parseJson(file.text);
  if (typeof value !== "object" || value === null || !("key" in value) || typeof value.key !== "string" || !("object" in value))
    return null;
  const object = parseStoredObject(value.object);
  return object && { key: value.key, object, modifiedAt: file.modifiedAt };
}

/** The text of a metadata file. @param objectText the object as `serialiseStoredObject` gives it. */
export function formatMetaFile(key: string, objectText: string): string {
  return `{"key":${JSON.stringify(key)},"object":${objectText}}\n`;
}
