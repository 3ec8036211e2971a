import type { StoredObject } from "./stored-object.ts";

/** About 1 KiB each. */
const KNOWN_OBJECTS = 20_000;
/** No write takes longer: past this its disk calls are aborted. */
const WRITE_LIMIT_MS = 30_000;
/** For the abort to be felt, before the next writer begins. */
const ABORT_MARGIN_MS = 1_000;

/**
 * What is known of a path. Its identity is its meaning: while `known` still holds the very entry a reader began with, no write to the path
 * has begun since. A null object says only that somebody is reading or writing the metadata, never that there is none.
 */
interface Known {
  readonly key: string;
  readonly object: StoredObject | null;
  /** There was no metadata when it was looked for: none need be removed before a body is written. */
  readonly isAbsent?: true;
}

/**
 * What an isolate remembers of its state folder. All stores over one folder must share one memory, and one isolate must own the folder:
 * the disk service has neither conditions nor locks.
 */
export interface DiskMemory {
  /** The entry of a path, which becomes the last to be forgotten. */
  recall(path: string): Known | undefined;
  learn(path: string, known: Known): void;
  isCurrent(path: string, known: Known): boolean;
  /** Settles once no write to the path is under way. The caller must look at memory in the same turn, hence a loop: see `isBusy`. */
  isBusy(path: string): boolean;
  settled(path: string): Promise<void>;
  /** Runs `write` when no other write to the path runs. `signal` aborts when it takes too long. */
  alone<T>(path: string, write: (signal: AbortSignal) => Promise<T>): Promise<T>;
}

interface DiskMemoryOptions {
  readonly knownObjects?: number;
  readonly writeLimitMs?: number;
}

export function createDiskMemory({ knownObjects = KNOWN_OBJECTS, writeLimitMs = WRITE_LIMIT_MS }: DiskMemoryOptions = {}): DiskMemory {
  // In order of use: a Map keeps the order of insertion.
  const known = new Map<string, Known>();
  const writes = new Map<string, Promise<void>>();

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
   * A request that the runtime drops takes its disk calls with it and runs no `finally`: its write would seem under way for ever. Past the
   * limit it is either aborted or dropped, so the next one may begin.
   */
  async function settled(path: string): Promise<void> {
    const write = writes.get(path);
    if (write === undefined || (await endsWithin(write, writeLimitMs + ABORT_MARGIN_MS))) return;
    if (writes.get(path) === write) writes.delete(path);
  }

  return {
    recall(path) {
      const entry = known.get(path);
      if (entry !== undefined) learn(path, entry);
      return entry;
    },
    learn,
    isCurrent: (path, entry) => known.get(path) === entry,
    isBusy: (path) => writes.has(path),
    settled,

    async alone(path, write) {
      while (writes.has(path)) await settled(path);
      const ended = Promise.withResolvers<void>();
      writes.set(path, ended.promise);
      const abort = new AbortController();
      const timer = setTimeout(() => abort.abort(), writeLimitMs);
      try {
        return await write(abort.signal);
      } finally {
        clearTimeout(timer);
        if (writes.get(path) === ended.promise) writes.delete(path);
        ended.resolve();
      }
    },
  };
}

async function endsWithin(ended: Promise<void>, limitMs: number): Promise<boolean> {
  const late = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => late.resolve(false), limitMs);
  try {
    return await Promise.race([ended.then(() => true), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
