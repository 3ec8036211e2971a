import { createSignal, type Signal } from "../fill/shared/signal.ts";

/** Objects whose last check is remembered; the oldest are forgotten, which costs a check too many at worst. */
const REMEMBERED = 20_000;

/** When this isolate last asked an upstream whether a stored object is still its own, so that nobody asks twice. */
export interface Checks {
  /** Milliseconds since the epoch, 0 when not known. */
  at(key: string): number;
  note(key: string, now: number): void;
  /** When such a question last failed: the answer stays open, but need not be asked for again at once. */
  failedAt(key: string): number;
  noteFailure(key: string, now: number): void;
  /** Runs `check` unless it is under way for this key already: then waits for that, and gives null. */
  once<T>(key: string, limitMs: number, check: () => Promise<T>): Promise<T | null>;
}

export function createChecks(): Checks {
  const at = createTimes();
  const failedAt = createTimes();
  const pending = new Map<string, Signal>();
  return {
    at: at.get,
    note: at.set,
    failedAt: failedAt.get,
    noteFailure: failedAt.set,
    async once(key, limitMs, check) {
      const under = pending.get(key);
      if (under !== undefined) {
        await under.wait(limitMs);
        return null;
      }
      const signal = createSignal();
      pending.set(key, signal);
      try {
        return await check();
      } finally {
        pending.delete(key);
        signal.notify();
      }
    },
  };
}

function createTimes(): { get(key: string): number; set(key: string, now: number): void } {
  const times = new Map<string, number>();
  return {
    get: (key) => times.get(key) ?? 0,
    set(key, now) {
      times.delete(key);
      times.set(key, now);
      const oldest = times.size > REMEMBERED ? times.keys().next().value : undefined;
      if (oldest !== undefined) times.delete(oldest);
    },
  };
}
