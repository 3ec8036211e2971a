import { DAY_MS } from "../http/units.ts";
import { rowsOf, type Sql } from "../store/sql.ts";

/** After so long a reservation ends: the fill has failed, or the ledger has the object's row, which it has from the first slice on. */
const RESERVATION_MS = 15 * 60_000;
/** For so long a file that was fetched ahead counts as such, though no published generation names it. */
const AHEAD_MS = DAY_MS;

/**
 * Room that fills have asked for and that no ledger counts yet, and what was fetched ahead. Opens the reservations in `sql`, a ledger's own, and makes their
 * tables at the first start. `now` and `startedAt` are in milliseconds since the epoch: fills from before `startedAt` are over.
 */
export function createReservations(sql: Sql, now: () => number, startedAt: number) {
  sql.exec("CREATE TABLE IF NOT EXISTS reserved (key TEXT PRIMARY KEY, size INTEGER NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID");
  sql.exec(
    "CREATE TABLE IF NOT EXISTS ahead (key TEXT PRIMARY KEY, mirror TEXT NOT NULL, size INTEGER NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID",
  );
  sql.exec("DELETE FROM reserved WHERE at < ?", startedAt);

  /** Also those that a wrong clock dated ahead. */
  function dropOld(table: "reserved" | "ahead", ms: number): void {
    sql.exec(`DELETE FROM ${table} WHERE at <= ? OR at > ?`, now() - ms, now() + ms);
  }

  return {
    /** Bytes reserved for keys of one shard, or of all where it is null, without those for `exceptKey`. */
    bytes(shard: string | null, exceptKey = ""): number {
      dropOld("reserved", RESERVATION_MS);
      const query =
        "SELECT coalesce(sum(size), 0) AS size FROM reserved WHERE key <> ?1 AND (?2 IS NULL OR (key >= ?2 || '/' AND key < ?2 || '0'))";
      return rowsOf<{ size: number }>(sql, query, exceptKey, shard)[0]?.size ?? 0;
    },
    /** Reserves `size` bytes for a key; `aheadFor`: the mirror for which it is fetched before a client asks for it. */
    take(key: string, size: number, aheadFor?: string): void {
      sql.exec("INSERT OR REPLACE INTO reserved VALUES (?, ?, ?)", key, size, now());
      if (aheadFor !== undefined) sql.exec("INSERT OR REPLACE INTO ahead VALUES (?, ?, ?, ?)", key, aheadFor, size, now());
    },
    /** The ledger of the key counts its object from now on. */
    end: (key: string): void => void sql.exec("DELETE FROM reserved WHERE key = ?", key),
    /** Bytes of metadata that a mirror's published generations name, and of what was fetched ahead for it within a day. */
    aheadBytes(mirror: string): number {
      dropOld("ahead", AHEAD_MS);
      const query = `SELECT coalesce(sum(size), 0) AS size FROM (
        SELECT key, size FROM ahead WHERE mirror = ?1
        UNION ALL SELECT key, size FROM objects WHERE key IN (SELECT key FROM named WHERE owner >= ?1 || '/' AND owner < ?1 || '0')
          AND key NOT IN (SELECT key FROM ahead WHERE mirror = ?1))`;
      return rowsOf<{ size: number }>(sql, query, mirror)[0]?.size ?? 0;
    },
  };
}
