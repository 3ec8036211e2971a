import { elapsedMs } from "../clock/elapsed.ts";
import { SPARING_WAIT_MS } from "../store/row-count.ts";
import { rowsOf, type Sql } from "../store/sql.ts";
import type { Totals } from "./ledger-totals.ts";
import type { Holdings } from "./policy.ts";

/** The totals of one shard, by its name. */
export type ShardTotals = Totals & { readonly shard: string };

const NOTHING: Totals = { objects: 0, live: 0, dead: 0 };

/**
 * The totals that the shards reported last. Opens them in `sql`, the book's own, and makes their table at the first start. `now`: milliseconds since the
 * epoch. While `isSparing`, those of a shard are written at most once a minute: after a restart they may be a minute old until the shard's next report.
 */
export function createShardTotals(sql: Sql, names: readonly string[], now: () => number, isSparing: () => boolean) {
  sql.exec("CREATE TABLE IF NOT EXISTS shards (name TEXT PRIMARY KEY, objects INTEGER, live INTEGER, dead INTEGER) WITHOUT ROWID");
  for (const name of names) sql.exec("INSERT OR IGNORE INTO shards VALUES (?, 0, 0, 0)", name);
  const rows = rowsOf<ShardTotals>(sql, "SELECT name AS shard, objects, live, dead FROM shards ORDER BY name");
  const current = new Map<string, Totals>(rows.map(({ shard, ...totals }) => [shard, totals]));
  const written = new Map([...current].map(([name, totals]) => [name, { totals, at: 0 }]));

  return {
    /** In the order of their names. */
    names: (): readonly string[] => [...current.keys()].toSorted(),
    /** Bytes of one shard, or of all where it is null. */
    of(shard: string | null): Holdings {
      if (shard !== null) return current.get(shard) ?? NOTHING;
      return [...current.values()].reduce((sum, { live, dead }) => ({ live: sum.live + live, dead: sum.dead + dead }), {
        live: 0,
        dead: 0,
      });
    },
    note(shard: string, totals: Totals): void {
      current.set(shard, totals);
      const last = written.get(shard) ?? { totals: NOTHING, at: 0 };
      if (isSame(last.totals, totals) || (isSparing() && elapsedMs(last.at, now()) < SPARING_WAIT_MS)) return;
      sql.exec("INSERT OR REPLACE INTO shards VALUES (?, ?, ?, ?)", shard, totals.objects, totals.live, totals.dead);
      written.set(shard, { totals, at: now() });
    },
    list(): readonly ShardTotals[] {
      return this.names().map((shard) => ({ shard, ...(current.get(shard) ?? NOTHING) }));
    },
  };
}

function isSame(one: Totals, other: Totals): boolean {
  return one.objects === other.objects && one.live === other.live && one.dead === other.dead;
}
