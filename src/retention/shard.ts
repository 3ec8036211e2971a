import type { ObjectStore } from "../store/object-store.ts";
import { BOOK_SHARD, type Batch } from "./batch.ts";
import { credibleStart } from "./catch-up.ts";
import { evict, reap } from "./evict.ts";
import { parseKeyPattern } from "../store/key-pattern.ts";
import type { Ledger, LedgerRow } from "./ledger.ts";
import type { Totals } from "./ledger-totals.ts";
import { lastPassBegan, reconcilePage, SLICE_GRACE_MS } from "./reconcile.ts";

/** Limits of one run of a shard. It reads the head of each object that it evicts, and a Worker has 1,000 calls. */
const MAX_EVICTED_PER_RUN = 500;
const MAX_REAPED_PER_RUN = 50;
/** Objects of which a run writes the uses of earlier days. */
const MAX_SETTLED_PER_RUN = 5_000;
/** Pages of a pass in one run. A pass over a million objects takes 400 runs. */
const MAX_PAGES_PER_RUN = 5;
/** A page reads the head of each object without a row. After so many the run takes no further page. */
const MAX_FOUND_PER_RUN = 250;
/** How many rows are looked at for one page, however few match. */
const MAX_SCANNED = 5_000;
/** How many versions are read at a time where room is short, until as many bytes are freed as are missing. */
const MAX_REAPED_FOR_ROOM = 400;

/** What a shard works with. */
export interface ShardDependencies {
  readonly ledger: Ledger;
  readonly store: ObjectStore;
  readonly now: () => number;
  readonly retentionMs: number;
  /** No request from before this time (milliseconds since the epoch) runs any more; 0: it is not known. */
  readonly startedAt: number;
  /** This shard's keys begin with this: `<mirror>/`, or `-/`. */
  readonly prefix: string;
  readonly classOf: (key: string) => string;
}

/** What one run of housekeeping did. */
export interface SweepReport {
  readonly totals: Totals;
  /** How many objects were deleted because of their age. */
  readonly aged: number;
  /** Bytes of dead versions whose slices were deleted. */
  readonly reaped: number;
  /** Objects without a row, which have one now. */
  readonly found: number;
  /** Rows without an object, which were removed. */
  readonly lost: number;
  /** `lastPassBegan` (reconcile.ts). */
  readonly passBegan: number;
  /** Nothing is left from before the start: every object has a row, and what was freed then is deleted. */
  readonly isCaughtUp: boolean;
}

/** One page of matching rows. `after` continues with the next page, which may be empty; null: this was the last. */
export interface LedgerPage {
  readonly rows: readonly LedgerRow[];
  readonly after: string | null;
}

/** One mirror's part of the ledger: its rows, and the objects that they describe. */
export type Shard = ReturnType<typeof createShard>;

/** The shard over a ledger and the store. */
export function createShard({ ledger, store, now, retentionMs, startedAt, prefix, classOf }: ShardDependencies) {
  const isByContent = prefix === `${BOOK_SHARD}/`;
  const started = (): number => credibleStart(startedAt, now());

  /** The next page of rows whose keys, or paths that name them, match `written` (`parseKeyPattern`). */
  function list(written: string, after: string, limit: number): LedgerPage {
    const pattern = parseKeyPattern(written);
    if (pattern === null) return { rows: [], after: null };
    const rows: LedgerRow[] = [];
    // Where all match, no more rows are read than are wanted, and one that shows whether others follow.
    const step = limit + 1;
    // What lies by its content has the paths of files of all mirrors.
    const start = isByContent && !pattern.reaches(prefix) ? prefix : pattern.prefix;
    let from = after;
    for (let scanned = 0; scanned < MAX_SCANNED; scanned += step) {
      const page = ledger.page(start, from, step);
      for (const row of page) {
        if (!pattern.matches(row.key) && row.paths?.some(pattern.matches) !== true) continue;
        if (rows.length >= limit) return { rows, after: rows.at(-1)?.key ?? from };
        rows.push(row);
      }
      if (page.length < step) return { rows, after: null };
      from = page.at(-1)?.key ?? from;
    }
    return { rows, after: from };
  }

  async function reconcile(ageFactor: number): Promise<{ found: number; lost: number }> {
    let found = 0;
    let lost = 0;
    for (let pages = 0; pages < MAX_PAGES_PER_RUN && found + lost < MAX_FOUND_PER_RUN; pages++) {
      const page = await reconcilePage(ledger, store, { prefix, classOf, ageFactor, startedAt: started(), now: now() });
      found += page.found;
      lost += page.lost;
      if (page.isDone) break;
    }
    return { found, lost };
  }

  return {
    /** Takes in a batch. `ageFactor`: LFUDA's L. */
    record(batch: Batch, ageFactor: number): Totals {
      ledger.apply(batch, ageFactor, now());
      return ledger.totals();
    },
    lowest: (limit: number) => ledger.lowest(limit, now()),
    /** Evicts the objects of these keys; keys without a row are ignored. */
    async evict(keys: readonly string[]): Promise<Totals> {
      const rows = keys.flatMap((key) => ledger.get(key) ?? []);
      await evict(ledger, store, rows, now());
      return ledger.totals();
    },
    /** Deletes slices of objects that were evicted `graceMs` ago or earlier, the oldest first, until `bytes` are freed. */
    async reap(graceMs: number, bytes: number): Promise<Totals> {
      await reap(ledger, store, now() - graceMs, { versions: MAX_REAPED_FOR_ROOM, bytes });
      return ledger.totals();
    },
    /** One bounded run of housekeeping: age, dead slices, reconciliation. The next run goes on where this one stopped. */
    async sweep(ageFactor: number): Promise<SweepReport> {
      ledger.mendDates(now());
      ledger.settle(now(), MAX_SETTLED_PER_RUN);
      const aged = await evict(ledger, store, ledger.past(now(), retentionMs, MAX_EVICTED_PER_RUN), now());
      // No request reads what was freed before the start.
      const reaped = await reap(ledger, store, Math.max(now() - SLICE_GRACE_MS, started() - 1), { versions: MAX_REAPED_PER_RUN });
      const { found, lost } = await reconcile(ageFactor);
      const passBegan = lastPassBegan(ledger);
      const isCaughtUp = passBegan >= started() && ledger.dead(started() - 1, 1).length === 0;
      return { totals: ledger.totals(), aged, reaped, found, lost, passBegan, isCaughtUp };
    },
    /** Those of `versions` that have a head, or are dead but not yet deleted. */
    known: (versions: readonly string[]): readonly string[] => versions.filter(ledger.hasSlicesOf),
    list,
    /** Deletes the objects of such a page, unless `dryRun`. Returns their rows. What is also named by a path that does not match stays. */
    async purge(written: string, after: string, limit: number, dryRun: boolean): Promise<LedgerPage> {
      const page = list(written, after, Math.min(limit, MAX_EVICTED_PER_RUN));
      const pattern = parseKeyPattern(written);
      const rows = page.rows.filter(({ key, paths }) => pattern?.matches(key) === true || paths?.every(pattern?.matches ?? (() => false)));
      if (!dryRun) await evict(ledger, store, rows, now());
      return { ...page, rows };
    },
  };
}
