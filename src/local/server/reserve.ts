import { randomBytes } from "node:crypto";
import { rmSync, statfsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { removeIfPossible } from "./remove-if-possible.ts";

/** SQLite takes 32 KiB beside each database that it opens, and more for its first writes: so much opens those of some 60 repositories. */
const RESERVE_BYTES = 4 * 1024 * 1024;
/** The reserve is made where so many times its size is free. */
const ROOM_FACTOR = 4;

/**
 * Holds some room of the disk for SQLite, which opens no database on a full one: the file `reserve` in the state folder is removed where the disk is full, and
 * made where there is room. Call it before the databases are opened, and from time to time. Never throws: without a reserve all is as it would be anyway.
 */
export function keepReserve(folder: string): void {
  const path = join(folder, "reserve");
  try {
    const { bavail, bsize } = statfsSync(folder);
    const free = bavail * bsize;
    if (free < RESERVE_BYTES) return rmSync(path, { force: true });
    const isThere = statSync(path, { throwIfNoEntry: false })?.size === RESERVE_BYTES;
    // Bytes that no file system can store in less room.
    if (!isThere && free >= ROOM_FACTOR * RESERVE_BYTES) writeFileSync(path, randomBytes(RESERVE_BYTES));
  } catch {
    removeIfPossible(path);
  }
}
