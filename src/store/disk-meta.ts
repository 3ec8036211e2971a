import * as v from "valibot";
import type { DiskFiles } from "./disk-files.ts";
import { STORED_OBJECT } from "./stored-object.ts";

/** Longer files are not ours: the metadata itself is limited to 2 KiB. */
const MAX_META_BYTES = 16_384;

/** A metadata file holds the key in full, because two keys may share a path where the file system ignores case. */
const META_FILE = v.pipe(v.string(), v.parseJson(), v.object({ key: v.string(), object: STORED_OBJECT }));

/** Damaged objects that are named in the log; the others are treated alike. */
const MAX_NAMED = 100;

/** Receives the path of a file that cannot be read, or has other bytes than were stored. */
export type OnDamaged = (path: string) => void;

/** Names each damaged file to `log`, once. */
export function nameDamaged(log: (message: string) => void): OnDamaged {
  const named = new Set<string>();
  return (path) => {
    if (named.has(path) || named.size >= MAX_NAMED) return;
    named.add(path);
    log(`The file "${path}" in the store is damaged: its object is fetched again at its next use`);
  };
}

/** Reads a metadata file; null where there is no file, or not one that this program wrote. */
export async function readMetaFile(files: DiskFiles, path: string, onDamaged?: OnDamaged) {
  const file = await files.read(path, MAX_META_BYTES);
  if (file === null) return null;
  const parsed = v.safeParse(META_FILE, file.text);
  if (!parsed.success) onDamaged?.(path);
  return parsed.success ? { ...parsed.output, modifiedAt: file.modifiedAt } : null;
}

/** The text of a metadata file. @param objectText the object as `serialiseStoredObject` gives it. */
export function formatMetaFile(key: string, objectText: string): string {
  return `{"key":${JSON.stringify(key)},"object":${objectText}}\n`;
}
