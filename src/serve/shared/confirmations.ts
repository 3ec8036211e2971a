import { createSignal, type Signal } from "../../clock/signal.ts";

/** Objects that are remembered; the oldest are forgotten, which costs a question too many at worst. */
const REMEMBERED = 20_000;

/**
 * When this isolate last asked upstreams whether stored objects are still theirs, so that requests do not ask twice. Whether a published index names these
 * bytes is another matter: that stands in the stored object itself (`verified`, `provisional`). Times in milliseconds since the epoch, 0 for never.
 */
export interface Confirmations {
  /** When an upstream last answered: it is the same, or the upstream has removed it. */
  at(key: string): number;
  note(key: string, now: number): void;
  /** When such a question last failed: its answer is open, but need not be asked for again at once. */
  failedAt(key: string): number;
  noteFailure(key: string, now: number): void;
  /** When something else began to show that the stored object may not be the upstream's any more. */
  doubtedAt(key: string): number;
  noteDoubt(key: string, now: number): void;
  /** Runs `ask`, unless a request is asking for this key already: then waits for that, `limitMs` at most, and gives null. */
  once<T>(key: string, limitMs: number, ask: () => Promise<T>): Promise<T | null>;
}

export function createConfirmations(): Confirmations {
  const at = createTimes();
  const failedAt = createTimes();
  const doubtedAt = createTimes();
  const pending = new Map<string, Signal>();
  return {
    at: at.get,
    note: at.set,
    failedAt: failedAt.get,
    noteFailure: failedAt.set,
    doubtedAt: doubtedAt.get,
    noteDoubt: doubtedAt.set,
    async once(key, limitMs, ask) {
      const asking = pending.get(key);
      if (asking !== undefined) {
        await asking.wait(limitMs);
        return null;
      }
      const signal = createSignal();
      pending.set(key, signal);
      try {
        return await ask();
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
