import { latestTime } from "../clock/elapsed.ts";
import { addColumns, createNotes, rowsOf, type Sql } from "../store/sql.ts";
import type { NamedKey } from "../watch/named-key.ts";
import { DAY_MS } from "../http/units.ts";
import type { Batch, StoredRecord } from "./batch.ts";
import { parseKeyPattern, type KeyPattern } from "../store/key-pattern.ts";
import { createHeldUses, type HeldUse, sumUses } from "./held-uses.ts";
import { createLedgerTotals } from "./ledger-totals.ts";
import { FREE, LIVE, PINNED, priorityOf } from "./policy.ts";

/** The ledger's row of one object. Times are milliseconds since the epoch, sizes bytes. */
export interface LedgerRow {
  readonly key: string;
  readonly version: string;
  /** Of the whole object: it counts in full from its first slice on. */
  readonly size: number;
  /** Null for an object in one piece. */
  readonly sliceBytes: number | null;
  readonly class: string;
  readonly storedAt: number;
  readonly lastUsedAt: number;
  readonly uses: number;
  /** Bytes sent to clients. */
  readonly served: number;
  /** Bytes that upstreams sent, over all versions. */
  readonly fetched: number;
  /** LFUDA's key (policy.ts). */
  readonly priority: number;
  /** FREE, LIVE or PINNED (policy.ts). */
  readonly held: number;
  /** The paths (`<mirror>/<path>`) by which published generations name it. Absent: none does, or it lies by its own path. */
  readonly paths?: readonly string[];
}

/** A version whose head was deleted or replaced, and whose slices are still stored. */
export interface DeadVersion {
  readonly version: string;
  /** How many slices, counted from 0, are still to be deleted. */
  readonly slices: number;
  readonly bytes: number;
  /** When its head went. */
  readonly at: number;
}

/** The rows of one mirror's objects. Every method is one transaction. */
export type Ledger = ReturnType<typeof createLedger>;

const SCHEMA = [
  // `seen` is of an older version.
  `CREATE TABLE IF NOT EXISTS objects (
    key TEXT PRIMARY KEY, version TEXT NOT NULL, size INTEGER NOT NULL, sliceBytes INTEGER, class TEXT NOT NULL,
    storedAt INTEGER NOT NULL, lastUsedAt INTEGER NOT NULL, uses INTEGER NOT NULL, served INTEGER NOT NULL, fetched INTEGER NOT NULL,
    priority REAL NOT NULL, held INTEGER NOT NULL, seen INTEGER NOT NULL) WITHOUT ROWID`,
  "CREATE INDEX IF NOT EXISTS objectsByRank ON objects (held, priority, lastUsedAt)",
  // Of an older version, which broke ties by the key.
  "DROP INDEX IF EXISTS objectsByPriority",
  "CREATE INDEX IF NOT EXISTS objectsByAge ON objects (held, storedAt)",
  "CREATE INDEX IF NOT EXISTS objectsByVersion ON objects (version) WHERE sliceBytes IS NOT NULL",
  "CREATE TABLE IF NOT EXISTS dead (version TEXT PRIMARY KEY, slices INTEGER NOT NULL, bytes INTEGER NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID",
  "CREATE INDEX IF NOT EXISTS deadByTime ON dead (at)",
  "CREATE TABLE IF NOT EXISTS pins (pattern TEXT PRIMARY KEY) WITHOUT ROWID",
  // An older version kept a pin with the leading slash that the operator wrote, and did not find it by the name that it listed.
  "UPDATE OR REPLACE pins SET pattern = ltrim(pattern, '/') WHERE pattern LIKE '/%'",
  // `paths` is a list as JSON.
  "CREATE TABLE IF NOT EXISTS named (key TEXT, owner TEXT, paths TEXT, PRIMARY KEY (key, owner)) WITHOUT ROWID",
  "CREATE INDEX IF NOT EXISTS namedByOwner ON named (owner)",
];

const COLUMNS = "key, version, size, sliceBytes, class, storedAt, lastUsedAt, uses, served, fetched, priority, held";
/** A new object, or another version of a known one. 1 to 7: key, version, size, sliceBytes, class, storedAt, priority. */
const PUT = `INSERT INTO objects VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, 0, 0, ?3, ?7, EXISTS (SELECT 1 FROM named WHERE key = ?1), 0)
  ON CONFLICT DO UPDATE SET version = ?2, size = ?3, sliceBytes = ?4, class = ?5, storedAt = ?6, fetched = fetched + ?3`;
/** 1 to 6: key, uses, bytes served, time of the last one, L, the latest time that a right clock can have written. */
const USE = `UPDATE objects SET uses = uses + ?2, served = served + ?3, lastUsedAt = max(iif(lastUsedAt > ?6, 0, lastUsedAt), min(?4, ?6)),
  priority = uses + ?2 + ?5 WHERE key = ?1`;
/** Sets `held` by whether a generation names the row. */
const FREE_OR_LIVE = "UPDATE objects SET held = EXISTS (SELECT 1 FROM named WHERE named.key = objects.key)";

/**
 * Opens the ledger in `sql`, and makes its tables at the first start. While `isSparing`, a row is written at most once a day (UTC) for the uses of its object:
 * later ones are held in memory until the next day's first use, until the object may be evicted, or until `settle`. All that is returned counts them.
 */
export function createLedger(sql: Sql, isSparing: () => boolean = () => false) {
  for (const statement of SCHEMA) sql.exec(statement);
  addColumns(sql, "named", ["paths"]);
  const totals = createLedgerTotals(sql, isSparing);
  const waiting = createHeldUses();
  let pins = readPins();

  function readPins(): readonly KeyPattern[] {
    const rows = rowsOf<{ pattern: string }>(sql, "SELECT pattern FROM pins ORDER BY pattern");
    return rows.flatMap(({ pattern }) => parseKeyPattern(pattern) ?? []);
  }

  function get(key: string): LedgerRow | null {
    const [row] = rowsOf<LedgerRow>(sql, `SELECT ${COLUMNS} FROM objects WHERE key = ?`, key);
    return row === undefined ? null : withHeld(row);
  }

  function withHeld(row: LedgerRow): LedgerRow {
    const use = waiting.get(row.key);
    if (use === undefined) return row;
    const { uses, served, lastUsedAt } = sumUses(row, use);
    return { ...row, uses, served, lastUsedAt, priority: priorityOf(uses, use.ageFactor) };
  }

  function withPaths(row: LedgerRow): LedgerRow {
    const paths = pathsOf(row.key);
    return paths.length === 0 ? row : { ...row, paths };
  }

  /** What lies by its content is all in one ledger, and only there is anything named. */
  function pathsOf(key: string): readonly string[] {
    if (!key.startsWith("-/")) return [];
    const rows = rowsOf<{ paths: string | null }>(sql, "SELECT paths FROM named WHERE key = ? ORDER BY owner", key);
    return rows.flatMap(({ paths }) => (paths === null ? [] : (JSON.parse(paths) as readonly string[])));
  }

  function isPinned(key: string): boolean {
    return pins.length > 0 && [key, ...pathsOf(key)].some((name) => pins.some((pin) => pin.matches(name)));
  }

  function noteUse(use: HeldUse, now: number): void {
    const [row] = rowsOf<{ lastUsedAt: number }>(sql, "SELECT lastUsedAt FROM objects WHERE key = ?", use.key);
    if (row === undefined) return;
    const hasRowOfToday = Math.floor(row.lastUsedAt / DAY_MS) === Math.floor(now / DAY_MS);
    const [before] = waiting.take(use.key);
    const sum = sumUses(before, use);
    writeUses(isSparing() && hasRowOfToday ? waiting.hold(sum) : [sum], now);
  }

  function writeUses(due: readonly HeldUse[], now: number): void {
    for (const { key, uses, served, lastUsedAt, ageFactor } of due)
      sql.exec(USE, key, uses, served, lastUsedAt, ageFactor, latestTime(now));
  }

  /** Removes the row of an object whose head is gone. Its slices, if any, are a dead version from `now` on. */
  function remove(key: string, now: number): void {
    const row = get(key);
    if (row === null) return;
    waiting.take(key);
    bury(row, now);
    sql.exec("DELETE FROM objects WHERE key = ?", key);
    totals.add({ objects: -1, live: -row.size });
  }

  /** Its slices stay where another key has the version: the head of a file that is proven moves (store/put-verdict.ts). */
  function bury({ key, version, size, sliceBytes }: LedgerRow, now: number): void {
    if (sliceBytes === null) return;
    const kept = `SELECT 1 FROM objects WHERE version = ?1 AND sliceBytes IS NOT NULL AND key <> ?2
      UNION SELECT 1 FROM dead WHERE version = ?1`;
    if (rowsOf(sql, kept, version, key).length > 0) return;
    sql.exec("INSERT INTO dead VALUES (?, ?, ?, ?)", version, Math.ceil(size / sliceBytes), size, now);
    totals.add({ dead: size });
  }

  function put({ key, version, size, sliceBytes, class: pathClass, storedAt }: StoredRecord, ageFactor: number, now: number): void {
    const before = get(key);
    if (before?.version === version) {
      sql.exec("UPDATE objects SET storedAt = max(storedAt, ?) WHERE key = ?", storedAt, key);
    } else {
      if (before !== null) bury(before, now);
      sql.exec(PUT, key, version, size, sliceBytes, pathClass, storedAt, priorityOf(0, ageFactor));
      totals.add({ objects: before === null ? 1 : 0, live: size - (before?.size ?? 0) });
    }
  }

  /**
   * What `read` finds, without pinned rows: these become PINNED, which `read` leaves out, so that it reads again where all rows were pinned. It also reads
   * again where uses of a row were held: with them it may not be among those to go.
   */
  function withoutPinned(read: () => readonly LedgerRow[], now: number): { readonly rows: readonly LedgerRow[]; readonly found: number } {
    for (;;) {
      const found = read();
      const due = found.flatMap(({ key }) => waiting.take(key));
      writeUses(due, now);
      if (due.length > 0) continue;
      const rows = found.filter(({ key }) => {
        if (!isPinned(key)) return true;
        sql.exec("UPDATE objects SET held = ? WHERE key = ?", PINNED, key);
        return false;
      });
      if (rows.length > 0 || found.length === 0) return { rows, found: found.length };
    }
  }

  return {
    notes: createNotes(sql),
    get,
    put,
    remove,

    apply({ news, uses }: Batch, ageFactor: number, now: number): void {
      for (const one of news) {
        if (one.kind === "stored") put(one.record, ageFactor, now);
        else remove(one.key, now);
      }
      for (const use of uses) noteUse({ ...use, ageFactor }, now);
    },
    /** Writes what waits in memory: the totals, and uses of earlier days, of at most `limit` objects. */
    settle(now: number, limit: number): void {
      writeUses(waiting.takeBefore(now, limit), now);
      totals.settle();
    },

    totals: totals.get,
    recount: totals.recount,

    /** The rows that would be evicted next, in order, at most `limit`. `end`: there are no others. */
    lowest(limit: number, now: number): { readonly rows: readonly LedgerRow[]; readonly end: boolean } {
      const query = `SELECT ${COLUMNS} FROM objects WHERE held < ${PINNED} ORDER BY held, priority, lastUsedAt, key LIMIT ?`;
      const { rows, found } = withoutPinned(() => rowsOf<LedgerRow>(sql, query, limit), now);
      return { rows, end: found < limit };
    },

    /** What a wrong clock dated ahead counts as of `now`: it would otherwise never age. */
    mendDates(now: number): void {
      const latest = latestTime(now);
      for (const held of [FREE, LIVE, PINNED])
        sql.exec("UPDATE objects SET storedAt = ? WHERE held = ? AND storedAt > ?", now, held, latest);
      sql.exec("UPDATE dead SET at = ? WHERE at > ?", now, latest);
    },

    /**
     * Rows stored `ageMs` ago or earlier. Those that a generation names also need to be unused since then; a use that a wrong clock dated ahead is none, as a
     * later one would have replaced it.
     */
    past(now: number, ageMs: number, limit: number): readonly LedgerRow[] {
      const query = `SELECT ${COLUMNS} FROM objects WHERE held = ?1 AND storedAt <= ?2 AND (held = ${FREE} OR lastUsedAt <= ?2 OR lastUsedAt > ?3)
        ORDER BY storedAt LIMIT ?4`;
      const read = () => [FREE, LIVE].flatMap((held) => rowsOf<LedgerRow>(sql, query, held, now - ageMs, latestTime(now), limit));
      return withoutPinned(read, now).rows.slice(0, limit);
    },

    /** Rows whose key begins with `prefix` and comes after `after`, in the order of keys, with the paths that name them. */
    page(prefix: string, after: string, limit: number): readonly LedgerRow[] {
      const query = `SELECT ${COLUMNS} FROM objects WHERE key > ? AND key >= ? AND key < ? ORDER BY key LIMIT ?`;
      return rowsOf<LedgerRow>(sql, query, after, prefix, `${prefix}\u{10FFFF}`, limit).map((row) => withPaths(withHeld(row)));
    },

    dead: (before: number, limit: number): readonly DeadVersion[] =>
      rowsOf<DeadVersion>(sql, "SELECT version, slices, bytes, at FROM dead WHERE at <= ? ORDER BY at LIMIT ?", before, limit),
    /** Notes that only the first `slices` slices of a dead version are left; 0 removes its row. */
    shrinkDead(version: string, slices: number): void {
      if (slices > 0) return void sql.exec("UPDATE dead SET slices = ? WHERE version = ?", slices, version);
      const [row] = rowsOf<{ bytes: number }>(sql, "SELECT bytes FROM dead WHERE version = ?", version);
      sql.exec("DELETE FROM dead WHERE version = ?", version);
      totals.add({ dead: -(row?.bytes ?? 0) });
    },
    /** Whether slices of this version belong to an object, or to a dead version that is not yet deleted. */
    hasSlicesOf(version: string): boolean {
      const alive = "SELECT 1 AS found FROM objects WHERE version = ?1 AND sliceBytes IS NOT NULL";
      return rowsOf(sql, `${alive} UNION SELECT 1 FROM dead WHERE version = ?1`, version).length > 0;
    },

    /** The first `limit` rows with keys after `after` up to `end` (null: all that come after), in the order of keys. */
    rowsBetween(after: string, end: string | null, limit: number): readonly Pick<LedgerRow, "key" | "storedAt">[] {
      const query = `SELECT key, storedAt FROM objects WHERE key > ?1 ${end === null ? "" : "AND key <= ?3"} ORDER BY key LIMIT ?2`;
      return rowsOf(sql, query, after, limit, ...(end === null ? [] : [end]));
    },

    pins: (): readonly string[] => pins.map(({ text }) => text),
    pin(pattern: string): void {
      sql.exec("INSERT OR IGNORE INTO pins VALUES (?)", pattern);
      pins = readPins();
    },
    /** Removes a pin; false if there is none. */
    unpin(pattern: string): boolean {
      const isThere = pins.some(({ text }) => text === pattern);
      sql.exec("DELETE FROM pins WHERE pattern = ?", pattern);
      pins = readPins();
      sql.exec(`${FREE_OR_LIVE} WHERE held = ${PINNED}`);
      return isThere;
    },

    /** Replaces the keys that `owner`'s published generations name: these rows are LIVE. */
    name(owner: string, named: readonly NamedKey[]): void {
      const before = rowsOf<{ key: string }>(sql, "SELECT key FROM named WHERE owner = ?", owner);
      const paths = Map.groupBy(named, ([key]) => key);
      sql.exec("DELETE FROM named WHERE owner = ?", owner);
      for (const [key, names] of paths) {
        const list = [...new Set(names.flatMap(([, path]) => path ?? []))];
        sql.exec("INSERT INTO named (key, owner, paths) VALUES (?, ?, ?)", key, owner, list.length === 0 ? null : JSON.stringify(list));
      }
      for (const key of paths.keys()) sql.exec(`${FREE_OR_LIVE} WHERE key = ? AND held < ${PINNED}`, key);
      // A pin of its path holds it no longer.
      for (const { key } of before) if (!paths.has(key)) sql.exec(`${FREE_OR_LIVE} WHERE key = ?`, key);
    },
    /** How many stored files `owner`'s published generations name, and their bytes. */
    namedBy(owner: string): { readonly files: number; readonly bytes: number } {
      const query = "SELECT count(*) AS files, coalesce(sum(size), 0) AS bytes FROM named JOIN objects USING (key) WHERE owner = ?";
      return rowsOf<{ files: number; bytes: number }>(sql, query, owner)[0] ?? { files: 0, bytes: 0 };
    },
    isPinned: (path: string): boolean => pins.some((pin) => pin.reaches(path)),
  };
}
