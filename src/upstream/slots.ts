import { elapsedMs } from "../clock/elapsed.ts";
import { sleep, type Timer } from "../clock/timer.ts";

/** Bodies fetched at once from one upstream: more would burden a public mirror. */
const MAX_BODIES = 16;
/** Of one file: its parts must leave room for the other files of the upstream. */
const MAX_BODIES_OF_FILE = 4;
/** How long a request waits for a slot before it goes ahead without: the limit is a courtesy, and must not cause an outage. */
const SLOT_WAIT_MS = 2_000;
const SLOT_POLL_MS = 50;
/** A body that brought less than SPAN_BYTES in the last span burdens no upstream, and keeps no other body waiting. A new one has its first span to begin. */
const SPAN_MS = 1_000;
const SPAN_BYTES = 65_536;
/** A slot not touched for this long is free: a request that the runtime ended never releases its slot. */
const ABANDONED_MS = 60_000;

export type Slots = ReturnType<typeof createSlots>;

interface Slot {
  readonly file: string;
  touchedAt: number;
  /** When the span began in which bytes are counted now, those bytes, and whether the span before it brought enough. */
  spanAt: number;
  bytes: number;
  isBusy: boolean;
}

/** Counts the bodies under way for each upstream, by configured URL. `file` is the path with its query. */
export function createSlots(now: () => number, after: Timer) {
  const taken = new Map<string, Set<Slot>>();

  function slotsOf(upstream: string): Set<Slot> {
    const slots = taken.get(upstream) ?? new Set();
    taken.set(upstream, slots);
    for (const slot of slots) if (elapsedMs(slot.touchedAt, now()) > ABANDONED_MS) slots.delete(slot);
    return slots;
  }

  function isBusy(slot: Slot): boolean {
    const ms = elapsedMs(slot.spanAt, now());
    if (ms < SPAN_MS) return slot.isBusy;
    slot.isBusy = slot.bytes * SPAN_MS >= SPAN_BYTES * ms;
    slot.spanAt = now();
    slot.bytes = 0;
    return slot.isBusy;
  }

  /** The bodies of each file that burden the upstream. */
  function burdenOf(upstream: string): Map<string, number> {
    const files = new Map<string, number>();
    for (const slot of slotsOf(upstream)) if (isBusy(slot)) files.set(slot.file, (files.get(slot.file) ?? 0) + 1);
    return files;
  }

  function isFull(upstream: string): boolean {
    const counts = [...burdenOf(upstream).values()];
    return counts.reduce((sum, count) => sum + Math.min(count, MAX_BODIES_OF_FILE), 0) >= MAX_BODIES;
  }

  function mustWait(upstream: string, file: string): boolean {
    return (burdenOf(upstream).get(file) ?? 0) >= MAX_BODIES_OF_FILE || isFull(upstream);
  }

  return {
    isFull,
    count: (upstream: string): number => slotsOf(upstream).size,
    /** Takes a slot, at once or after at most SLOT_WAIT_MS; never refuses. */
    async take(upstream: string, file: string) {
      // It polls: on Workers a request must not await a promise that another request settles.
      for (let waited = 0; waited < SLOT_WAIT_MS && mustWait(upstream, file); waited += SLOT_POLL_MS) await sleep(SLOT_POLL_MS, after);
      const slot: Slot = { file, touchedAt: now(), spanAt: now(), bytes: 0, isBusy: true };
      slotsOf(upstream).add(slot);
      return {
        /** Reports that so many bytes came: the slot is still in use. */
        touch(bytes: number): void {
          slot.touchedAt = now();
          slot.bytes += bytes;
        },
        /** May be called more than once. */
        release: (): void => void taken.get(upstream)?.delete(slot),
      };
    },
  };
}
