import { DAY_MS } from "../http/units.ts";
import type { Sql } from "./sql.ts";

/** On a day on which rows are spared, what need not be written at once waits in memory for so many milliseconds at most. */
export const SPARING_WAIT_MS = 60_000;

/** SQLite that counts the rows written today (UTC), as Cloudflare bills them: an entry of an index is a row as well. */
export interface CountedSql {
  readonly sql: Sql;
  /** Rows written since midnight, or since this Durable Object was started. */
  readonly today: () => number;
}

/** Counts in memory only. `now`: milliseconds since the epoch. */
export function countRows(sql: Sql, now: () => number): CountedSql {
  let day = 0;
  let rows = 0;

  function today(): number {
    const current = Math.floor(now() / DAY_MS);
    if (current !== day) rows = 0;
    day = current;
    return rows;
  }

  return {
    today,
    sql: {
      exec(query, ...bindings) {
        const cursor = sql.exec(query, ...bindings);
        rows = today() + (cursor.rowsWritten ?? 0);
        return cursor;
      },
    },
  };
}
