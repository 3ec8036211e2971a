import { isAhead } from "../clock/elapsed.ts";
import type { createNotes } from "../store/sql.ts";

/** What the store held when this server started. */
export interface Leftovers {
  /** No request from before this time (milliseconds since the epoch) runs any more; 0: it is not known, as at the edge. */
  readonly startedAt: number;
  /** Bytes that lay in the store then, or that its ledgers knew where the last server was not killed; 0 where that is not known. */
  readonly bytes: number;
}

/** At the edge, where isolates come and go. */
export const NO_START: Leftovers = { startedAt: 0, bytes: 0 };

const DONE = "caughtUp";
const ROUND = "caughtUpSlices";
const CURSOR = "sliceCursor";

/** `startedAt`, or 0 where the clock was set back since, so that it would lie ahead. */
export function credibleStart(startedAt: number, now: number): number {
  return isAhead(startedAt, now) ? 0 : startedAt;
}

/**
 * What a killed server left behind, which no ledger may know: until it is found it counts against the budget by the size of the store. It is found once every
 * shard has gone over its objects, and then all slices were looked at, since the start. `counted`: bytes that the ledgers know now.
 */
export function createCatchUp(notes: ReturnType<typeof createNotes>, { startedAt, bytes }: Leftovers, counted: number) {
  const start = String(startedAt);
  const isDone = (): boolean => startedAt === 0 || notes.get(DONE) === start;
  const uncounted = Math.max(0, bytes - counted);
  return {
    isDone,
    /** Bytes in the store that no ledger may know. */
    uncounted: (): number => (isDone() ? 0 : uncounted),
    /** Where the next look at slices goes on; `areShardsDone`: every shard has caught up. */
    sliceCursor(areShardsDone: boolean): string {
      if (!isDone() && areShardsDone && notes.get(ROUND) !== start) {
        notes.set(ROUND, start);
        notes.set(CURSOR, "");
      }
      return notes.get(CURSOR) ?? "";
    },
    /** Slices were looked at up to `cursor`; empty: to the end. */
    noteSlices(cursor: string, areShardsDone: boolean): void {
      notes.set(CURSOR, cursor);
      if (cursor === "" && areShardsDone && notes.get(ROUND) === start) notes.set(DONE, start);
    },
  };
}
