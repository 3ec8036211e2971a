import { type Dirent, lstatSync, readdirSync, rmSync, statfsSync } from "node:fs";
import { join } from "node:path";

/** Names of files that workerd had not finished writing. workerd's own listings hide them, so a killed server's stay until we remove them. */
const LEFTOVER = /^\..*\.tmp$/;
/** The share of the disk that the store leaves free, for the ledger and for other programs. */
const SPARE_SHARE = 0.1;

/** Removes files that a killed server had not finished writing. Returns the size in bytes of what is left. No server may be running on the folder. */
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

/** The size in bytes that the store in `folder`, now of `usedBytes`, may reach before the disk is full. */
export function roomFor(folder: string, usedBytes: number): number {
  const { bavail, bsize } = statfsSync(folder);
  return Math.floor((usedBytes + bavail * bsize) * (1 - SPARE_SHARE));
}

/** What is in a folder; nothing where there is none. */
export function readFolder(path: string): readonly Dirent[] {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch (error) {
    // The operator may delete folders by hand while we read.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
