import type { Timer } from "./timer.ts";

/** Bodies fetched at once from one upstream, so that its admins stay friends. */
const MAX_BODIES = 16;
/** After this the request goes ahead all the same: a limit out of courtesy must not become an outage. */
const WAIT_MS = 2_000;
const POLL_MS = 50;
/** A slot not touched for this long counts as free: a request that the runtime ended never gives its slot back. */
const ABANDONED_MS = 60_000;

export interface Slot {
  /** Bytes came. */
  touch(): void;
  /** Safe to call twice. */
  release(): void;
}

export interface Slots {
  isFull(upstream: string): boolean;
  count(upstream: string): number;
  /** A slot, at once or after a bounded wait; never refused. */
  take(upstream: string): Promise<Slot>;
}

/** Counts the bodies under way per upstream. Waiting polls: on Workers a promise that another request settles must not be awaited. */
export function createSlots(now: () => number, after: Timer): Slots {
  const taken = new Map<string, Map<symbol, number>>();

  function slotsOf(upstream: string): Map<symbol, number> {
    const slots = taken.get(upstream) ?? new Map<symbol, number>();
    taken.set(upstream, slots);
    for (const [id, touchedAt] of slots) if (now() - touchedAt > ABANDONED_MS) slots.delete(id);
    return slots;
  }

  const count = (upstream: string): number => slotsOf(upstream).size;
  const isFull = (upstream: string): boolean => count(upstream) >= MAX_BODIES;

  return {
    isFull,
    count,
    async take(upstream) {
      for (let waited = 0; isFull(upstream) && waited < WAIT_MS; waited += POLL_MS) {
        await new Promise<void>((resolve) => after(POLL_MS, resolve));
      }
      const id = Symbol(upstream);
      const slots = slotsOf(upstream).set(id, now());
      let released = false;
      return {
        touch() {
          if (!released) slots.set(id, now());
        },
        release() {
          released = true;
          slots.delete(id);
        },
      };
    },
  };
}
