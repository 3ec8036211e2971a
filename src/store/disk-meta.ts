import type { DiskFiles } from "./disk-files.ts";
import { parseJson, parseStoredObject } from "./keys.ts";
import type { StoredObject } from "./stored-object.ts";

/** No metadata file of ours is near this long. */
const MAX_META_BYTES = 16_384;

/** The key is there in full because two keys may share a path where the file system ignores case. */
interface MetaFile {
  readonly key: string;
  readonly object: StoredObject;
  /** Milliseconds since the epoch, in whole seconds. */
  readonly modifiedAt: number;
}

/** Null for what is no file, or no metadata file of ours. */
export async function readMetaFile(files: DiskFiles, path: string): Promise<MetaFile | null> {
  const file = await files.read(path, MAX_META_BYTES);
  if (file === null) return null;
  const value = parseJson(file.text);
  if (typeof value !== "object" || value === null || !("key" in value) || typeof value.key !== "string" || !("object" in value))
    return null;
  const object = parseStoredObject(value.object);
  return object && { key: value.key, object, modifiedAt: file.modifiedAt };
}

/** `objectText` is the object as serialised. */
export function formatMetaFile(key: string, objectText: string): string {
  return `{"key":${JSON.stringify(key)},"object":${objectText}}\n`;
}
