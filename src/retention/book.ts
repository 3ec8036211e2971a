import type { ObjectStore } from "../store/object-store.ts";
import { rowsOf, type Sql } from "../store/sql.ts";
import { createHistory, type DayCount } from "../watch/history.ts";
import type { Ledger, LedgerRow, Totals } from "./ledger.ts";
import { bytesToEvict, chooseVictims, compareCandidates, hasRoom, HIGH_SHARE, isStorableSize, raiseAge, type Holdings } from "./policy.ts";
import { reapOrphans } from "./reconcile.ts";
import type { Shard, SweepReport } from "./shard.ts";

/** After so long a reservation ends: the fill has failed, or the ledger has the object's row, which it has from the first slice on. */
const RESERVATION_MS = 15 * 60_000;
/** How many candidates each shard names in one round of eviction. */
const PER_SHARD = 50;
/** How many objects one fill, or one run of cron, evicts at most. The next one goes on. */
const MAX_EVICTED = 400;

/** The state of the budget. */
export interface BudgetView {
  /** Bytes that count against the budget: stored, reserved, and slices of evicted objects. */
  readonly used: number;
  /** LFUDA's L (policy.ts). */
  readonly ageFactor: number;
}

/** The answer to a request for room. */
export interface Reservation extends BudgetView {
  /** Whether the fill may store its bytes. */
  readonly admitted: boolean;
}

/** Some methods of `T`, called on one in the same Durable Object or, as a stub, in another one. */
export type Remote<T, Method extends keyof T> = {
  readonly [Name in Method]: T[Name] extends (...parameters: infer Parameters) => infer Result
    ? (...parameters: Parameters) => Result | Promise<Awaited<Result>>
    : never;
};

/** What the book works with. */
export interface BookDependencies {
  readonly sql: Sql;
  /** The ledger of the book's own shard. Its notes keep L over restarts. */
  readonly ledger: Ledger;
  readonly store: ObjectStore;
  readonly now: () => number;
  /** Bytes. */
  readonly budget: number;
  /** Names of every configured mirror, and `BOOK_SHARD`. */
  readonly shardNames: readonly string[];
  readonly shard: (name: string) => Remote<Shard, "lowest" | "evict" | "reap" | "sweep" | "known">;
  readonly log: (message: string) => void;
}

/** The budget over all shards: decides which fill may store its bytes and which objects are evicted. */
export type Book = ReturnType<typeof createBook>;

/** Opens the book in `sql`, and makes its tables at the first start. */
export function createBook(deps: BookDependencies) {
  const { sql, ledger, now, budget, log } = deps;
  sql.exec("CREATE TABLE IF NOT EXISTS shards (name TEXT PRIMARY KEY, objects INTEGER, live INTEGER, dead INTEGER) WITHOUT ROWID");
  sql.exec("CREATE TABLE IF NOT EXISTS reserved (key TEXT PRIMARY KEY, size INTEGER NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID");
  for (const name of deps.shardNames) sql.exec("INSERT OR IGNORE INTO shards VALUES (?, 0, 0, 0)", name);
  const history = createHistory(sql, now);
  let ageFactor = Number(ledger.notes.get("ageFactor") ?? 0);
  /** Only one fill evicts at a time: two at once would evict twice as much as they need. */
  let making: Promise<void> | null = null;

  const shardNames = () => rowsOf<{ name: string }>(sql, "SELECT name FROM shards ORDER BY name").map(({ name }) => name);

  function holdings(exceptKey = ""): Holdings {
    // Also those that a wrong clock dated ahead.
    sql.exec("DELETE FROM reserved WHERE at <= ? OR at > ?", now() - RESERVATION_MS, now() + RESERVATION_MS);
    const [sums] = rowsOf<Holdings>(
      sql,
      `SELECT coalesce(sum(live), 0) + (SELECT coalesce(sum(size), 0) FROM reserved WHERE key <> ?) AS live, coalesce(sum(dead), 0) AS dead
        FROM shards`,
      exceptKey,
    );
    return sums ?? { live: 0, dead: 0 };
  }

  function note(shard: string, { objects, live, dead }: Totals): void {
    sql.exec("INSERT OR REPLACE INTO shards VALUES (?, ?, ?, ?)", shard, objects, live, dead);
  }

  function view(): BudgetView {
    const { live, dead } = holdings();
    return { used: live + dead, ageFactor };
  }

  /**
   * The lowest candidates over all shards. A shard that named only some of its rows may have others that come before the rows of other shards: so only
   * candidates up to the first such end are returned.
   */
  async function lowest(limit: number): Promise<readonly (LedgerRow & { readonly shard: string })[]> {
    const lists = await Promise.all(
      shardNames().map(async (shard) => {
        const { rows, end } = await deps.shard(shard).lowest(limit);
        return { rows: rows.map((row) => ({ ...row, shard })), end };
      }),
    );
    const [horizon] = lists.flatMap(({ rows, end }) => (end ? [] : rows.slice(-1))).toSorted(compareCandidates);
    const all = lists.flatMap(({ rows }) => rows).toSorted(compareCandidates);
    return horizon === undefined ? all : all.filter((row) => compareCandidates(row, horizon) <= 0);
  }

  /** Evicts until `size` more bytes fit below the marks, at most `MAX_EVICTED` objects. */
  async function makeRoom(key: string, size: number): Promise<void> {
    for (let evicted = 0; evicted < MAX_EVICTED;) {
      const wanted = bytesToEvict(holdings(key), size, budget);
      if (wanted <= 0) break;
      const victims = chooseVictims(await lowest(PER_SHARD), wanted).slice(0, MAX_EVICTED - evicted);
      if (victims.length === 0) break;
      for (const [shard, rows] of Map.groupBy(victims, (victim) => victim.shard)) {
        note(shard, await deps.shard(shard).evict(rows.map((row) => row.key)));
      }
      ageFactor = victims.reduce(raiseAge, ageFactor);
      ledger.notes.set("ageFactor", String(ageFactor));
      evicted += victims.length;
    }
    if (hasRoom(holdings(key), size, budget)) return;
    for (const shard of shardNames()) note(shard, await deps.shard(shard).reap(true));
  }

  async function makeRoomAlone(key: string, size: number): Promise<void> {
    while (making !== null) await making;
    if (bytesToEvict(holdings(key), size, budget) <= 0 && hasRoom(holdings(key), size, budget)) return;
    making = makeRoom(key, size).finally(() => (making = null));
    await making;
  }

  async function known(versions: readonly string[]): Promise<ReadonlySet<string>> {
    const lists = await Promise.all(shardNames().map(async (shard) => deps.shard(shard).known(versions)));
    return new Set(lists.flat());
  }

  return {
    /** Takes in a shard's totals, ends the reservations of the keys that `arrived` in it, and adds `days` to the history. */
    report(shard: string, totals: Totals, arrived: readonly string[], days: readonly DayCount[] = []): BudgetView {
      note(shard, totals);
      history.count(days);
      for (const key of arrived) sql.exec("DELETE FROM reserved WHERE key = ?", key);
      return view();
    },
    /**
     * Reserves `size` bytes for one fill, and evicts if there is no room. Admits only what fits in the budget beside everything stored or reserved and
     * the slices of evicted objects. `unreported`: bytes of other fills that the calling isolate admitted and that no ledger knows yet.
     */
    async reserve(key: string, size: number, unreported: number): Promise<Reservation> {
      if (!isStorableSize(size, budget)) return { admitted: false, ...view() };
      const wanted = size + unreported;
      try {
        await makeRoomAlone(key, wanted);
      } catch (error) {
        log(`Cannot make room for ${key}: ${String(error)}`);
      }
      const admitted = hasRoom(holdings(key), wanted, budget);
      if (admitted) sql.exec("INSERT OR REPLACE INTO reserved VALUES (?, ?, ?)", key, size, now());
      return { admitted, ...view() };
    },
    /** The objects that would be evicted next, in order. */
    next: async (limit: number): Promise<readonly LedgerRow[]> => (await lowest(limit)).slice(0, limit),
    /** One bounded run of housekeeping over all shards. Where some of them fail it does the others, and rejects with the first failure. */
    async sweep(): Promise<readonly (SweepReport & { readonly shard: string })[]> {
      const reports = [];
      const failures: unknown[] = [];
      for (const shard of shardNames()) {
        try {
          const report = await deps.shard(shard).sweep(ageFactor);
          note(shard, report.totals);
          reports.push({ shard, ...report });
        } catch (error) {
          log(`Cannot keep house in ${shard}: ${String(error)}`);
          failures.push(error);
        }
      }
      if (holdings().live > budget * HIGH_SHARE) await makeRoomAlone("", 0);
      // A slice without a head is known for an orphan only by all of them.
      if (failures.length > 0) throw failures[0];
      await reapOrphans(ledger, deps.store, { known, passesBegan: Math.min(...reports.map(({ passBegan }) => passBegan)), now: now() });
      return reports;
    },
    /** The budget, with each shard's totals. */
    view: () => ({
      ...view(),
      reserved: rowsOf<{ size: number }>(sql, "SELECT coalesce(sum(size), 0) AS size FROM reserved")[0]?.size ?? 0,
      shards: rowsOf<Totals & { readonly shard: string }>(sql, "SELECT name AS shard, objects, live, dead FROM shards ORDER BY name"),
    }),
    /** Days and repositories of all mirrors. */
    history,
  };
}
