import { type Dirent, existsSync, lstatSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** Names of files that workerd has not finished writing. workerd's own listings hide them, so a killed server's stay until we remove them. */
const LEFTOVER = /^\..*\.tmp$/;
/** Longer than any write takes (store/disk-memory.ts): what has lain unfinished and unchanged for so long belongs to no write under way. */
const SETTLE_MS = 40_000;
/** The walk looks at folders for so long, then lets the process do other work: a million files take it half a minute, and a fifth of one processor. */
const TURN_MS = 5;
const PAUSE_MS = 20;
/** So many strays are remembered at most before they are looked at again. */
const MAX_STRAYS = 10_000;

/** A file that no object has, as it was found. */
interface Stray {
  /** Below the store. */
  readonly path: string;
  readonly inode: number;
  readonly modifiedAt: number;
}

/**
 * Removes what a killed server left in the store while a server runs on it: files that it had not finished writing, and bodies without metadata, of which it
 * leaves one for each write that was under way. No listing shows them, and no client gets them. A write under way looks the same for a moment: so a file goes
 * only if it is the same at a second look, after `settle`. No clock plays a part in that. Returns how many files it removed, once it is through, or
 * once `signal` has aborted. Rejects where a folder cannot be read.
 */
export async function sweepStore(
  folder: string,
  signal: AbortSignal,
  settle: () => Promise<void> = () => pause(SETTLE_MS, signal),
): Promise<number> {
  let removed = 0;
  let strays: Stray[] = [];
  const lookAgain = async (): Promise<void> => {
    await settle();
    if (!signal.aborted) removed += strays.filter((stray) => removeStray(folder, stray)).length;
    strays = [];
  };
  const folders = [""];
  let began = performance.now();
  for (let next = folders.pop(); next !== undefined && !signal.aborted; next = folders.pop()) {
    for (const entry of readFolder(join(folder, next))) {
      const path = join(next, entry.name);
      if (entry.isDirectory()) folders.push(path);
      else if (LEFTOVER.test(entry.name) || !hasMetadata(folder, path)) strays.push(...look(folder, path));
    }
    if (strays.length >= MAX_STRAYS) await lookAgain();
    if (performance.now() - began < TURN_MS) continue;
    await pause(PAUSE_MS, signal);
    began = performance.now();
  }
  if (strays.length > 0) await lookAgain();
  return removed;
}

/** Whether a file is no body, or has its metadata (docs/storage-layout.md). */
function hasMetadata(folder: string, path: string): boolean {
  return !path.startsWith("objects/") || existsSync(join(folder, `meta${path.slice("objects".length)}.json`));
}

function look(folder: string, path: string): readonly Stray[] {
  const there = lstatSync(join(folder, path), { throwIfNoEntry: false });
  return there === undefined ? [] : [{ path, inode: there.ino, modifiedAt: there.mtimeMs }];
}

/** Removes a stray that is still the very file that was found, and still no object's. Returns whether it did. */
function removeStray(folder: string, { path, inode, modifiedAt }: Stray): boolean {
  const [now] = look(folder, path);
  if (now?.inode !== inode || now.modifiedAt !== modifiedAt) return false;
  if (!LEFTOVER.test(path.slice(path.lastIndexOf("/") + 1)) && hasMetadata(folder, path)) return false;
  rmSync(join(folder, path), { force: true });
  return true;
}

/** Resolves after `ms` milliseconds, or at once when `signal` aborts. Keeps no process running. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal, ref: false }).catch(() => {});
}

/** What is in a folder; nothing where there is none. */
export function readFolder(path: string): readonly Dirent[] {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch (error) {
    // The operator, or the server, may delete folders while we read.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
