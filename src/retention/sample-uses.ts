import { dayOf } from "../watch/history.ts";
import { BOOK_SHARD, shardOf } from "./batch.ts";

/**
 * Keys of which an isolate remembers that it reported a use today. Published generations name some ten files a repository: this is room for those of a
 * thousand.
 */
const MAX_FIRSTS = 10_000;

/** Says which uses an isolate reports, and as how many each counts. */
export interface UseSampler {
  /** From now on one of `oneIn` uses is reported: a whole number of at least 1. */
  follow(oneIn: number): void;
  /** Whether the ledger has said how many are to be reported. */
  isInformed(): boolean;
  /** Whether some uses are not reported. */
  isSampling(): boolean;
  /** As how many uses this one is reported; 0: it is not. The expectation is 1, so that sums over many uses stay right. */
  weigh(key: string): number;
}

/**
 * Begins by reporting every use. `random`: from 0 up to, but not including, 1; `now`: milliseconds since the epoch.
 *
 * The first use of a day (UTC) of a content-addressed file is always reported, as one use. Only these files can be named by a published generation, which
 * keeps them past their age while clients use them (`Ledger.past`): one that is used once a week must not look unused by chance.
 */
export function createUseSampler({ random, now }: { readonly random: () => number; readonly now: () => number }): UseSampler {
  let oneIn = 1;
  let isInformed = false;
  let day = "";
  const firsts = new Set<string>();

  function isFirstToday(key: string): boolean {
    const today = dayOf(now());
    if (today !== day) firsts.clear();
    day = today;
    if (firsts.has(key) || firsts.size >= MAX_FIRSTS) return false;
    firsts.add(key);
    return true;
  }

  return {
    follow(next) {
      oneIn = Math.max(1, Math.ceil(next));
      isInformed = true;
    },
    isInformed: () => isInformed,
    isSampling: () => oneIn > 1,
    weigh(key) {
      if (oneIn === 1 || (shardOf(key) === BOOK_SHARD && isFirstToday(key))) return 1;
      return random() * oneIn < 1 ? oneIn : 0;
    },
  };
}
