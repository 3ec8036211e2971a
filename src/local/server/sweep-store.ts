import { type Dirent, lstatSync, readdirSync, rmSync, statfsSync } from "node:fs";
import { join } from "node:path";

/** What workerd calls a file that it is still writing; one that a kill left behind is hidden from workerd itself. */
const LEFTOVER = /^\..*\.tmp$/;
/** Of the room on the disk, for the ledger and for what else grows there. */
const SPARE_SHARE = 0.1;

/** Removes what a killed server had only begun to write. Returns the bytes of all that is left in the folder. Nobody may be writing to it. */
export function sweepStore(folder: string): number {
  let bytes = 0;
  const folders = [folder];
  for (let next = folders.pop(); next !== undefined; next = folders.pop()) {
    for (const entry of readFolder(next)) {
      const path = join(next, entry.name);
      if (entry.isDirectory()) folders.push(path);
      else if (LEFTOVER.test(entry.name)) rmSync(path, { force: true });
      else bytes += lstatSync(path, { throwIfNoEntry: false })?.size ?? 0;
    }
  }
  return bytes;
}

/** How many bytes the store in `folder`, which has `usedBytes` now, may hold before the disk is full. */
export function roomFor(folder: string, usedBytes: number): number {
  const { bavail, bsize } = statfsSync(folder);
  return Math.floor((usedBytes + bavail * bsize) * (1 - SPARE_SHARE));
}

function readFolder(path: string): readonly Dirent[] {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch (error) {
    // Somebody tidies up by hand.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
