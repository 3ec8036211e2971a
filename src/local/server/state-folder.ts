import { accessSync, constants, mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { done, refused, type Step } from "../step.ts";
import { roomFor, sweepStore } from "./sweep-store.ts";

/** The state folder of a server, locked while the server runs: a second server on it would delete files that the first counts as stored. */
export interface StateFolder {
  /** Folder of the mirrored files (docs/storage-layout.md). */
  readonly store: string;
  /** Folder of the Durable Objects' SQLite files. */
  readonly objects: string;
  /** The size in bytes that the store may reach before the disk is full. */
  readonly room: number;
  /** Unlocks the folder. */
  release(): void;
}

/**
 * Creates the folder if it is missing, locks it, and removes files that a killed server had not finished writing. The lock is SQLite's own on
 * `<state>/lock`: the kernel drops it when the process ends, even by SIGKILL, and it works between containers that share the folder, where a process
 * id means nothing. Refuses with the reason.
 */
export function openStateFolder(path: string): Step<StateFolder> {
  const folder = resolve(path);
  const store = join(folder, "store");
  const objects = join(folder, "objects");
  try {
    for (const part of [folder, store, objects]) {
      mkdirSync(part, { recursive: true });
      accessSync(part, constants.R_OK | constants.W_OK | constants.X_OK);
    }
  } catch (error) {
    return refused(`Cannot keep state in "${folder}": ${explain(error)}; choose a folder that can be written with --state.`);
  }
  let lock: DatabaseSync;
  try {
    lock = new DatabaseSync(join(folder, "lock"), { timeout: LOCK_WAIT_MS });
  } catch (error) {
    return refused(`Cannot open the lock of the state folder "${folder}": ${explain(error)}.`);
  }
  try {
    lock.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    lock.close();
    if ((error as { errcode?: number }).errcode !== SQLITE_BUSY) {
      return refused(`Cannot lock the state folder "${folder}": ${explain(error)}; remove the file "lock" in it or choose another folder.`);
    }
    return refused(`Cannot use the state folder "${folder}": another server runs on it; stop it or choose another folder with --state.`);
  }
  try {
    return done({ store, objects, room: roomFor(store, sweepStore(store)), release: () => lock.close() });
  } catch (error) {
    lock.close();
    return refused(`Cannot read all of "${store}": ${explain(error)}; it must belong to the user who runs the server.`);
  }
}

/** The previous server may still be ending. */
const LOCK_WAIT_MS = 1000;

/** https://sqlite.org/rescode.html#busy */
const SQLITE_BUSY = 5;

function explain(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "EACCES" || code === "EPERM") return "permission denied";
  if (code === "EROFS") return "the file system is read-only";
  if (code === "ENOTDIR" || code === "EEXIST") return "there is a file of that name";
  if (code === "ENOSPC") return "the disk is full";
  return message;
}
