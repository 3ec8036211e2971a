import { elapsedMs } from "../clock/elapsed.ts";
import { sleep, type Timer } from "../clock/timer.ts";

/** Bodies fetched at once from one upstream: more would burden a public mirror. */
const MAX_BODIES = 16;
/** How long a request waits for a slot before it goes ahead without: the limit is a courtesy, and must not cause an outage. */
const SLOT_WAIT_MS = 2_000;
const SLOT_POLL_MS = 50;
/** A slot not touched for this long counts as free: a request that the runtime ended never releases its slot. */
const ABANDONED_MS = 60_000;

export type Slots = ReturnType<typeof createSlots>;

/** Counts the bodies under way for each upstream, by configured URL. */
export function createSlots(now: () => number, after: Timer) {
  const taken = new Map<string, Map<symbol, number>>();

  function slotsOf(upstream: string): Map<symbol, number> {
    const slots = taken.get(upstream) ?? new Map<symbol, number>();
    taken.set(upstream, slots);
    for (const [id, touchedAt] of slots) if (elapsedMs(touchedAt, now()) > ABANDONED_MS) slots.delete(id);
    return slots;
  }

  const count = (upstream: string): number => slotsOf(upstream).size;
  const isFull = (upstream: string): boolean => count(upstream) >= MAX_BODIES;

  return {
    isFull,
    count,
    /** Takes a slot, at once or after at most SLOT_WAIT_MS; never refuses. */
    async take(upstream: string) {
      // It polls: on Workers a request must not await a promise that another request settles.
      for (let waited = 0; isFull(upstream) && waited < SLOT_WAIT_MS; waited += SLOT_POLL_MS) await sleep(SLOT_POLL_MS, after);
      const id = Symbol(upstream);
      const slots = slotsOf(upstream).set(id, now());
      let released = false;
      return {
        /** Reports that bytes came: the slot is still in use. */
        touch(): void {
          if (!released) slots.set(id, now());
        },
        /** May be called more than once. */
        release(): void {
          released = true;
          slots.delete(id);
        },
      };
    },
  };
}
