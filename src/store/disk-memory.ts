import { createSignal, type Signal } from "../clock/signal.ts";
import { systemTimer } from "../clock/timer.ts";
import type { StoredObject } from "./stored-object.ts";

/** Entries held; each takes about 1 KiB of memory, and 3 more once clients got the object (serve/answer/ready-heads.ts). */
const KNOWN_OBJECTS = 20_000;
/** The disk calls of a write that takes longer are aborted. */
const WRITE_LIMIT_MS = 30_000;
/** Time for an abort to take effect before the next write starts. */
const ABORT_MARGIN_MS = 1_000;

/**
 * What memory knows of a path. `object: null` means not known yet; `isAbsent` means that there is none, so that a write need not remove it. Readers
 * compare entries by identity: while memory still holds the entry with which a read began, no write to the path has begun since.
 */
export interface Known {
  readonly key: string;
  readonly object: StoredObject | null;
  readonly isAbsent?: true;
  /** Its metadata was written in the moments before a power cut: its bytes are compared with their digest before they are served. */
  readonly isSuspect?: boolean;
  /** They were compared. */
  readonly isCompared?: true;
}

export type DiskMemory = ReturnType<typeof createDiskMemory>;

/**
 * What an isolate remembers of its state folder, and its locks. All stores over one folder must share one memory, and only one isolate may use the
 * folder: the disk service has neither conditional writes nor locks. The options are limits, for tests.
 */
export function createDiskMemory({ knownObjects = KNOWN_OBJECTS, writeLimitMs = WRITE_LIMIT_MS } = {}) {
  // A Map keeps the order of insertion: `learn` inserts anew, so the first entry is the one used longest ago.
  const known = new Map<string, Known>();
  /** The writes that run, each with what it gives at its end. */
  const writes = new Map<string, Signal>();

  /** Sets the entry of a path. Above the limit the entry that was used longest ago is forgotten. */
  function learn(path: string, entry: Known): void {
    known.delete(path);
    known.set(path, entry);
    if (known.size <= knownObjects) return;
    for (const oldest of known.keys()) {
      known.delete(oldest);
      return;
    }
  }

  /**
   * Settles when the running write ends or exceeds its limit. Another one may have begun by then: call it in a loop over `isBusy`. When the runtime
   * drops a request, its disk calls end and no `finally` runs, so its write would seem to run for ever. Behind the limit a write is either aborted or
   * dropped, and the next one may begin.
   */
  async function settled(path: string): Promise<void> {
    const write = writes.get(path);
    if (write === undefined) return;
    await write.wait(writeLimitMs + ABORT_MARGIN_MS);
    if (writes.get(path) === write) writes.delete(path);
  }

  return {
    /** The entry of a path, or undefined; of all entries it will now be forgotten last. */
    recall(path: string): Known | undefined {
      const entry = known.get(path);
      if (entry !== undefined) learn(path, entry);
      return entry;
    },
    learn,
    /** Whether `entry` is still the very one that memory holds. */
    isCurrent: (path: string, entry: Known) => known.get(path) === entry,
    /** Whether a write to the path runs. */
    isBusy: (path: string) => writes.has(path),
    settled,

    /** Runs `write` when no other write to the path runs. `signal` aborts when it exceeds the limit. */
    async alone<T>(path: string, write: (signal: AbortSignal) => Promise<T>): Promise<T> {
      while (writes.has(path)) await settled(path);
      const ended = createSignal();
      writes.set(path, ended);
      const abort = new AbortController();
      const cancel = systemTimer(writeLimitMs, () => abort.abort());
      try {
        return await write(abort.signal);
      } finally {
        cancel();
        if (writes.get(path) === ended) writes.delete(path);
        ended.notify();
      }
    },
  };
}
