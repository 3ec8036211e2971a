import type { ObjectStore } from "../store/object-store.ts";
import type { Batch } from "./batch.ts";
import { evict, reap } from "./evict.ts";
import type { KeyPattern } from "./glob.ts";
import type { Ledger, LedgerRow, Totals } from "./ledger.ts";
import { lastPassBegan, reconcilePage, SLICE_GRACE_MS } from "./reconcile.ts";

/** What one run of a shard does at most: the heads of evicted objects are read, so a run stays within a Worker's 1,000 calls. */
const MAX_EVICTED_PER_RUN = 500;
const MAX_REAPED_PER_RUN = 50;
/** Pages of a pass in one run; the pass of a million objects then takes 400 runs. */
const MAX_PAGES_PER_RUN = 5;
/** A page that takes unknown objects in reads each one's head: no further page in that run. */
const MAX_FOUND_PER_RUN = 250;
/** Under pressure the slices of evicted objects go this soon; a reader still under way fetches them again. */
const PRESSED_GRACE_MS = 15 * 60_000;

export interface ShardDependencies {
  readonly ledger: Ledger;
  readonly store: ObjectStore;
  readonly now: () => number;
  readonly retentionMs: number;
  /** What this shard's keys begin with: `<mirror>/`, or `-/`. */
  readonly prefix: string;
  readonly classOf: (key: string) => string;
}

export interface SweepReport {
  readonly totals: Totals;
  /** Objects past their age that were deleted. */
  readonly aged: number;
  /** Bytes of slices deleted. */
  readonly reaped: number;
  /** Objects that the ledger did not know, and rows whose object was gone. */
  readonly found: number;
  readonly lost: number;
  readonly passBegan: number;
}

/** One mirror's part of the ledger: rows, and what is done with the objects they stand for. */
export interface Shard {
  record(batch: Batch, ageFactor: number): Totals;
  /** What would go next, in LFUDA's order. */
  lowest(limit: number): { readonly rows: readonly LedgerRow[]; readonly end: boolean };
  /** Evicts these keys where they are still known. */
  evict(keys: readonly string[]): Promise<Totals>;
  /** Deletes the slices of objects evicted long enough ago; sooner when `pressed`. */
  reap(pressed: boolean): Promise<Totals>;
  /** One bounded piece of housekeeping: age, dead slices, reconciliation. The next run goes on where this one stopped. */
  sweep(ageFactor: number): Promise<SweepReport>;
  /** Those of `versions` that have a head, or had one lately. */
  known(versions: readonly string[]): readonly string[];
  totals(): Totals;
  list(pattern: KeyPattern, after: string, limit: number): LedgerPage;
  purge(pattern: KeyPattern, after: string, limit: number, dryRun: boolean): Promise<LedgerPage>;
}

/** Rows that match, of the part of the ledger that was looked through; `after` continues, null where there is no more. */
export interface LedgerPage {
  readonly rows: readonly LedgerRow[];
  readonly after: string | null;
}

/** Rows looked at for one page, whatever the pattern. */
const MAX_SCANNED = 5_000;

export function createShard({ ledger, store, now, retentionMs, prefix, classOf }: ShardDependencies): Shard {
  function list(pattern: KeyPattern, after: string, limit: number): LedgerPage {
    const page = ledger.page(pattern.prefix, after, MAX_SCANNED);
    const matching = page.filter(({ key }) => pattern.matches(key));
    const rows = matching.slice(0, limit);
    if (matching.length > limit) return { rows, after: rows.at(-1)?.key ?? after };
    return { rows, after: page.length < MAX_SCANNED ? null : (page.at(-1)?.key ?? null) };
  }

  async function reconcile(ageFactor: number): Promise<{ found: number; lost: number }> {
    let found = 0;
    let lost = 0;
    for (let pages = 0; pages < MAX_PAGES_PER_RUN && found + lost < MAX_FOUND_PER_RUN; pages++) {
      // oxlint-disable-next-line no-await-in-loop -- page after page
      const page = await reconcilePage(ledger, store, { prefix, classOf, ageFactor, now: now() });
      found += page.found;
      lost += page.lost;
      if (page.isDone) break;
    }
    return { found, lost };
  }

  return {
    record(batch, ageFactor) {
      ledger.apply(batch, ageFactor, now());
      return ledger.totals();
    },
    lowest: (limit) => ledger.lowest(limit),
    async evict(keys) {
      const rows = keys.flatMap((key) => ledger.get(key) ?? []);
      await evict(ledger, store, rows, now());
      return ledger.totals();
    },
    async reap(pressed) {
      await reap(ledger, store, now() - (pressed ? PRESSED_GRACE_MS : SLICE_GRACE_MS), MAX_REAPED_PER_RUN);
      return ledger.totals();
    },
    async sweep(ageFactor) {
      const past = ledger.past(now() - retentionMs, MAX_EVICTED_PER_RUN);
      const aged = await evict(ledger, store, past, now());
      const reaped = await reap(ledger, store, now() - SLICE_GRACE_MS, MAX_REAPED_PER_RUN);
      const { found, lost } = await reconcile(ageFactor);
      return { totals: ledger.totals(), aged: aged.objects, reaped, found, lost, passBegan: lastPassBegan(ledger) };
    },
    known: (versions) => versions.filter((version) => ledger.hasVersion(version) || ledger.isDead(version)),
    totals: () => ledger.totals(),
    list,
    async purge(pattern, after, limit, dryRun) {
      const page = list(pattern, after, Math.min(limit, MAX_EVICTED_PER_RUN));
      if (!dryRun) await evict(ledger, store, page.rows, now());
      return page;
    },
  };
}
