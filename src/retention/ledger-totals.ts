import { rowsOf, type Sql } from "../store/sql.ts";

/** Totals of one ledger. */
export interface Totals {
  readonly objects: number;
  /** Bytes of the objects. */
  readonly live: number;
  /** Bytes of dead versions. */
  readonly dead: number;
}

/** Stands in the row, in place of the count of objects, while the totals in memory are newer. */
const NEWER_IN_MEMORY = -1;

/** An older version of the ledger counted by triggers, which wrote the row for each object. */
const OLD_TRIGGERS = ["objectAdded", "objectRemoved", "objectReplaced", "deadAdded", "deadRemoved"];

const SUMS = `SELECT (SELECT count(*) FROM objects) AS objects, (SELECT coalesce(sum(size), 0) FROM objects) AS live,
  (SELECT coalesce(sum(bytes), 0) FROM dead) AS dead`;

/**
 * The totals of the tables `objects` and `dead` in `sql`, in a row of their own: to sum up a million rows would cost each batch a second. While `isSparing` they
 * are kept in memory; then the row says so, and after a restart they are summed up.
 */
export function createLedgerTotals(sql: Sql, isSparing: () => boolean) {
  sql.exec(
    "CREATE TABLE IF NOT EXISTS totals (one INTEGER PRIMARY KEY, objects INTEGER NOT NULL, live INTEGER NOT NULL, dead INTEGER NOT NULL)",
  );
  sql.exec("INSERT OR IGNORE INTO totals VALUES (1, 0, 0, 0)");
  for (const name of OLD_TRIGGERS) sql.exec(`DROP TRIGGER IF EXISTS ${name}`);
  const [row] = rowsOf<Totals>(sql, "SELECT objects, live, dead FROM totals");
  let isMarked = row?.objects === NEWER_IN_MEMORY;
  let [totals = { objects: 0, live: 0, dead: 0 }] = isMarked ? rowsOf<Totals>(sql, SUMS) : [row];

  function write(objects: number): void {
    sql.exec("UPDATE totals SET objects = ?, live = ?, dead = ?", objects, totals.live, totals.dead);
    isMarked = objects === NEWER_IN_MEMORY;
  }

  return {
    get: (): Totals => totals,
    /** Call it in the same turn as the change of the tables. */
    add({ objects = 0, live = 0, dead = 0 }: Partial<Totals>): void {
      totals = { objects: totals.objects + objects, live: totals.live + live, dead: totals.dead + dead };
      if (!isSparing()) write(totals.objects);
      else if (!isMarked) write(NEWER_IN_MEMORY);
    },
    /** Sums them up anew: a write that failed, as beyond the free plan's rows of a day, may have left the row behind the tables. */
    recount(): void {
      const [sums = totals] = rowsOf<Totals>(sql, SUMS);
      if (sums.objects === totals.objects && sums.live === totals.live && sums.dead === totals.dead) return;
      totals = sums;
      write(totals.objects);
    },
    /** Writes what is in memory alone. */
    settle(): void {
      if (isMarked) write(totals.objects);
    },
  };
}
