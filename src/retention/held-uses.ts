import { DAY_MS } from "../http/units.ts";
import type { UseRecord } from "./batch.ts";

/** Objects whose uses are held at most: with one more, those of the object that was used longest ago are written. Some 250 bytes each. */
const MAX_HELD = 20_000;

/** Uses of one object that its row does not count yet. */
export interface HeldUse extends UseRecord {
  /** LFUDA's L at the last of them. */
  readonly ageFactor: number;
}

/**
 * Uses that wait in memory for their row to be written, by key; those of the object that was used longest ago are the first. A restart loses them: at most
 * those of one day for each object, and only where the ledger spares rows. `maxHeld`: see `MAX_HELD`.
 */
export function createHeldUses(maxHeld: number = MAX_HELD) {
  const held = new Map<string, HeldUse>();

  function take(key: string): readonly HeldUse[] {
    const one = held.get(key);
    held.delete(key);
    return one === undefined ? [] : [one];
  }

  return {
    get: (key: string): HeldUse | undefined => held.get(key),
    /** Holds uses of an object of which nothing is held, and returns those of another one if there is no more room for both. */
    hold(use: HeldUse): readonly HeldUse[] {
      held.set(use.key, use);
      const [oldest] = held.size > maxHeld ? held.keys() : [];
      return oldest === undefined ? [] : take(oldest);
    },
    /** Removes and returns what is held of an object. */
    take,
    /** Removes and returns what was last used on a day (UTC) before that of `now`, at most `limit`. */
    takeBefore(now: number, limit: number): readonly HeldUse[] {
      const midnight = now - (now % DAY_MS);
      const old = [...held.values()].filter(({ lastUsedAt }) => lastUsedAt < midnight).slice(0, limit);
      return old.flatMap(({ key }) => take(key));
    },
  };
}

/** Two reports of one object's uses as one; the later one says when the last of them was. */
export function sumUses<T extends UseRecord>(before: UseRecord | undefined, use: T): T {
  if (before === undefined) return use;
  return {
    ...use,
    uses: before.uses + use.uses,
    served: before.served + use.served,
    lastUsedAt: Math.max(before.lastUsedAt, use.lastUsedAt),
  };
}
