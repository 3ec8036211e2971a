import { existsSync, lstatSync, rmSync } from "node:fs";
import { join } from "node:path";
import { readFolder } from "./sweep-store.ts";

/**
 * Removes bodies without metadata: a killed server leaves one for each write that was under way. No listing shows them, and no client gets them.
 * Returns their size in bytes. No server may be running on the store in `folder` (docs/storage-layout.md).
 */
export function dropBodies(folder: string): number {
  let bytes = 0;
  const folders = [""];
  for (let next = folders.pop(); next !== undefined; next = folders.pop()) {
    for (const entry of readFolder(join(folder, "objects", next))) {
      const path = join(next, entry.name);
      if (entry.isDirectory()) folders.push(path);
      else if (!existsSync(join(folder, "meta", `${path}.json`))) {
        const file = join(folder, "objects", path);
        bytes += lstatSync(file, { throwIfNoEntry: false })?.size ?? 0;
        rmSync(file, { force: true });
      }
    }
  }
  return bytes;
}
