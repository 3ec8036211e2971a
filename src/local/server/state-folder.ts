import { accessSync, constants, mkdirSync, readFileSync, realpathSync } from "node:fs";
import { join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { done, refused, type Step } from "../step.ts";
import { makePrivate } from "./make-private.ts";
import { measureStore, roomFor } from "./measure-store.ts";
import { START_FOLDER } from "./place-files.ts";
import { removeIfPossible } from "./remove-if-possible.ts";
import { keepReserve } from "./reserve.ts";
import { sweepObjects } from "./sweep-objects.ts";

/** The state folder of a server, locked while the server runs: a second server on it would delete files that the first counts as stored. */
export interface StateFolder {
  /** All of it. */
  readonly folder: string;
  /** Folder of the mirrored files (docs/storage-layout.md). */
  readonly store: string;
  /** Folder of the Durable Objects' SQLite files. */
  readonly objects: string;
  /** The size in bytes that the store may reach before the disk is full. */
  readonly room: number;
  /** The size in bytes of what the store holds now (measure-store.ts). */
  readonly bytes: number;
  /** Whether no other user of this machine can read it. */
  readonly isPrivate: boolean;
  /** Unlocks the folder. */
  release(): void;
}

/**
 * Creates the folder if it is missing, locks it, and removes files of Durable Objects that keep nothing. The lock is SQLite's own on `<state>/lock`: the kernel drops it when the process ends, even by SIGKILL, and it works between containers that share
 * the folder, where a process id means nothing. Refuses with the reason.
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
    return refused(`Cannot keep state in "${folder}": ${reasonOf(error)}; choose a folder that can be written with --state.`);
  }
  const locked = lockFolder(folder);
  if (!locked.ok) return locked;
  const lock = locked.value;
  try {
    keepReserve(folder);
    // Of a server that was killed while it started: secrets lie in it.
    removeIfPossible(join(folder, START_FOLDER));
    const isPrivate = makePrivate(realpathSync(folder));
    sweepObjects(objects);
    const bytes = measureStore(store, objects);
    return done({ folder, store, objects, room: roomFor(store, bytes), bytes, isPrivate, release: () => lock.close() });
  } catch (error) {
    lock.close();
    return refused(`Cannot read all of "${folder}": ${reasonOf(error)}; it must belong to the user who runs the server.`);
  }
}

/** Locks the folder, which must exist, until the value is closed or the process ends. Refuses with the reason. */
export function lockFolder(folder: string): Step<DatabaseSync> {
  let lock: DatabaseSync;
  try {
    lock = new DatabaseSync(join(folder, "lock"), { timeout: LOCK_WAIT_MS });
  } catch (error) {
    return refused(`Cannot open the lock of the state folder "${folder}": ${reasonOf(error)}.`);
  }
  try {
    // A journal on the disk would take room, which a full one does not have.
    lock.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
    return done(lock);
  } catch (error) {
    lock.close();
    if ((error as { errcode?: number }).errcode !== SQLITE_BUSY) {
      return refused(
        `Cannot lock the state folder "${folder}": ${reasonOf(error)}; remove the file "lock" in it or choose another folder.`,
      );
    }
    return refused(`Cannot use the state folder "${folder}": another server runs on it; stop it or choose another folder with --state.`);
  }
}

/** The previous server may still be ending. */
const LOCK_WAIT_MS = 1000;

/** https://sqlite.org/rescode.html#busy */
const SQLITE_BUSY = 5;

const REASONS: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EPERM: "permission denied",
  EROFS: "the file system is read-only",
  ENOTDIR: "there is a file of that name",
  EEXIST: "there is a file of that name",
  ENOSPC: "the disk is full",
};

function reasonOf(error: unknown): string {
  const { code = "", message } = error as NodeJS.ErrnoException;
  return REASONS[code] ?? message;
}

/** With fewer, a busy hour may reach the limit: each download takes two descriptors, and workerd ends when it cannot accept a connection. */
const ENOUGH_FILES = 4_096;

/**
 * A warning if the hard limit on open files, which workerd inherits, is too low; null if it is high enough. `limits` is in the format of
 * proc_pid_limits(5).
 */
export function describeFewFiles(limits = readFileSync("/proc/self/limits", "utf8")): string | null {
  const [, hard = "unlimited"] = /^Max open files +\S+ +(\S+)/m.exec(limits) ?? [];
  if (hard === "unlimited" || Number(hard) >= ENOUGH_FILES) return null;
  return `Only ${hard} files may be open at once, enough for about ${Math.floor(Number(hard) / 3)} clients, and more end the server: raise the hard limit (ulimit -Hn, or LimitNOFILE= in a systemd unit).`;
}
