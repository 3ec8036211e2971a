import type { Timer } from "../clock/timer.ts";

/** Bodies fetched at once from one upstream: more would burden a public mirror. */
const MAX_BODIES = 16;
/** How long a request waits for a slot before it goes ahead without: the limit is a courtesy, and must not cause an outage. */
const SLOT_WAIT_MS = 2_000;
const SLOT_POLL_MS = 50;
/** A slot not touched for this long counts as free: a request that the runtime ended never releases its slot. */
const ABANDONED_MS = 60_000;

/** One of an upstream's places for a body under way. */
export interface Slot {
  /** Reports that bytes came: the slot is still in use. */
  touch(): void;
  /** Frees the slot; may be called more than once. */
  release(): void;
}

/** The slots of all upstreams, by configured URL. */
export interface Slots {
  isFull(upstream: string): boolean;
  /** Bodies under way. */
  count(upstream: string): number;
  /** Takes a slot, at once or after at most SLOT_WAIT_MS; never refuses. */
  take(upstream: string): Promise<Slot>;
}

/** Counts the bodies under way for each upstream. A wait polls: on Workers a request must not await a promise that another request settles. */
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
      for (let waited = 0; isFull(upstream) && waited < SLOT_WAIT_MS; waited += SLOT_POLL_MS) {
        await new Promise<void>((resolve) => after(SLOT_POLL_MS, resolve));
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
