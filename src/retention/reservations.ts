import { DAY_MS } from "../http/units.ts";
import { rowsOf, type Sql } from "../store/sql.ts";
import { shardOf } from "./batch.ts";

/** After so long a reservation ends: the fill has failed, or the ledger has the object's row, which it has from the first slice on. */
const RESERVATION_MS = 15 * 60_000;
/** For so long a file that was fetched ahead counts as such, though no published generation names it. */
const AHEAD_MS = DAY_MS;

/**
 * Room that fills have asked for and that no ledger counts yet, and what was fetched ahead. Opens the reservations in `sql`, a ledger's own, and makes their
 * tables at the first start. `now` and `startedAt` are in milliseconds since the epoch: fills from before `startedAt` are over. While `isSparing`, room is
 * reserved in memory alone: a restart forgets what fills under way have asked for, until their objects are reported.
 */
export function createReservations(sql: Sql, now: () => number, startedAt: number, isSparing: () => boolean) {
  sql.exec("CREATE TABLE IF NOT EXISTS reserved (key TEXT PRIMARY KEY, size INTEGER NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID");
  sql.exec(
    "CREATE TABLE IF NOT EXISTS ahead (key TEXT PRIMARY KEY, mirror TEXT NOT NULL, size INTEGER NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID",
  );
  sql.exec("DELETE FROM reserved WHERE at < ?", startedAt);
  const rows = rowsOf<{ key: string; size: number; at: number }>(sql, "SELECT key, size, at FROM reserved");
  const reserved = new Map(rows.map(({ key, size, at }) => [key, { size, at, hasRow: true }]));

  function end(key: string): void {
    if (reserved.get(key)?.hasRow === true) sql.exec("DELETE FROM reserved WHERE key = ?", key);
    reserved.delete(key);
  }

  return {
    /** Bytes reserved for keys of one shard, or of all where it is null, without those for `exceptKey`. */
    bytes(shard: string | null, exceptKey = ""): number {
      // Also those that a wrong clock dated ahead.
      for (const [key, { at }] of reserved) if (Math.abs(now() - at) >= RESERVATION_MS) end(key);
      const counted = [...reserved].filter(([key]) => key !== exceptKey && (shard === null || shardOf(key) === shard));
      return counted.reduce((sum, [, { size }]) => sum + size, 0);
    },
    /** Reserves `size` bytes for a key; `aheadFor`: the mirror for which it is fetched before a client asks for it. */
    take(key: string, size: number, aheadFor?: string): void {
      const hasRow = !isSparing();
      if (hasRow) sql.exec("INSERT OR REPLACE INTO reserved VALUES (?, ?, ?)", key, size, now());
      else end(key);
      reserved.set(key, { size, at: now(), hasRow });
      if (aheadFor !== undefined) sql.exec("INSERT OR REPLACE INTO ahead VALUES (?, ?, ?, ?)", key, aheadFor, size, now());
    },
    /** The ledger of the key counts its object from now on. */
    end,
    /** Bytes of metadata that a mirror's published generations name, and of what was fetched ahead for it within a day. */
    aheadBytes(mirror: string): number {
      // Also what a wrong clock dated ahead.
      sql.exec("DELETE FROM ahead WHERE at <= ? OR at > ?", now() - AHEAD_MS, now() + AHEAD_MS);
      const query = `SELECT coalesce(sum(size), 0) AS size FROM (
        SELECT key, size FROM ahead WHERE mirror = ?1
        UNION ALL SELECT key, size FROM objects WHERE key IN (SELECT key FROM named WHERE owner >= ?1 || '/' AND owner < ?1 || '0')
          AND key NOT IN (SELECT key FROM ahead WHERE mirror = ?1))`;
      return rowsOf<{ size: number }>(sql, query, mirror)[0]?.size ?? 0;
    },
  };
}
