import { createSignal, type Signal } from "../fill/signal.ts";

/** Objects whose last check is remembered; the oldest are forgotten, which costs a check too many at worst. */
const REMEMBERED = 20_000;

/** When this isolate last asked an upstream whether a stored object is still its own, so that nobody asks twice. */
export interface Checks {
  /** Milliseconds since the epoch, 0 when not known. */
  at(key: string): number;
  note(key: string, now: number): void;
  /** Runs `check` unless it is under way for this key already: then waits for that, and gives null. */
  once<T>(key: string, limitMs: number, check: () => Promise<T>): Promise<T | null>;
}

export function createChecks(): Checks {
  const at = new Map<string, number>();
  const pending = new Map<string, Signal>();
  return {
    at: (key) => at.get(key) ?? 0,
    note(key, now) {
      at.delete(key);
      at.set(key, now);
      const oldest = at.size > REMEMBERED ? at.keys().next().value : undefined;
      if (oldest !== undefined) at.delete(oldest);
    },
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
