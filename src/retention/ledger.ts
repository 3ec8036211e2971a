import { createNotes, rowsOf, type Sql } from "../store/sql.ts";
import type { Batch, StoredRecord } from "./batch.ts";
import { parseKeyPattern, type KeyPattern } from "./glob.ts";
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
}

/** A version whose head was deleted or replaced, and whose slices are still stored. */
export interface DeadVersion {
  readonly version: string;
  /** How many slices, counted from 0, are still to be deleted. */
  readonly slices: number;
  readonly bytes: number;
  /** When its head went, in milliseconds since the epoch. */
  readonly at: number;
}

/** Totals of one ledger. */
export interface Totals {
  readonly objects: number;
  /** Bytes of the objects. */
  readonly live: number;
  /** Bytes of dead versions. */
  readonly dead: number;
}

/** The rows of one mirror's objects. Every method is one transaction. */
export type Ledger = ReturnType<typeof createLedger>;

/** Triggers maintain the totals: to sum up a million rows would cost each batch a second. */
const SCHEMA = [
  `CREATE TABLE IF NOT EXISTS objects (
    key TEXT PRIMARY KEY, version TEXT NOT NULL, size INTEGER NOT NULL, sliceBytes INTEGER, class TEXT NOT NULL,
    storedAt INTEGER NOT NULL, lastUsedAt INTEGER NOT NULL, uses INTEGER NOT NULL, served INTEGER NOT NULL, fetched INTEGER NOT NULL,
    priority REAL NOT NULL, held INTEGER NOT NULL, seen INTEGER NOT NULL) WITHOUT ROWID`,
  "CREATE INDEX IF NOT EXISTS objectsByPriority ON objects (held, priority)",
  "CREATE INDEX IF NOT EXISTS objectsByAge ON objects (held, storedAt)",
  "CREATE INDEX IF NOT EXISTS objectsByVersion ON objects (version) WHERE sliceBytes IS NOT NULL",
  "CREATE TABLE IF NOT EXISTS dead (version TEXT PRIMARY KEY, slices INTEGER NOT NULL, bytes INTEGER NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID",
  "CREATE INDEX IF NOT EXISTS deadByTime ON dead (at)",
  "CREATE TABLE IF NOT EXISTS pins (pattern TEXT PRIMARY KEY) WITHOUT ROWID",
  "CREATE TABLE IF NOT EXISTS named (key TEXT, owner TEXT, PRIMARY KEY (key, owner)) WITHOUT ROWID",
  "CREATE INDEX IF NOT EXISTS namedByOwner ON named (owner)",
  "CREATE TABLE IF NOT EXISTS totals (one INTEGER PRIMARY KEY, objects INTEGER NOT NULL, live INTEGER NOT NULL, dead INTEGER NOT NULL)",
  "INSERT OR IGNORE INTO totals VALUES (1, 0, 0, 0)",
  `CREATE TRIGGER IF NOT EXISTS objectAdded AFTER INSERT ON objects
    BEGIN UPDATE totals SET objects = objects + 1, live = live + new.size; END`,
  `CREATE TRIGGER IF NOT EXISTS objectRemoved AFTER DELETE ON objects
    BEGIN UPDATE totals SET objects = objects - 1, live = live - old.size; END`,
  `CREATE TRIGGER IF NOT EXISTS objectReplaced AFTER UPDATE OF size ON objects
    BEGIN UPDATE totals SET live = live + new.size - old.size; END`,
  "CREATE TRIGGER IF NOT EXISTS deadAdded AFTER INSERT ON dead BEGIN UPDATE totals SET dead = dead + new.bytes; END",
  "CREATE TRIGGER IF NOT EXISTS deadRemoved AFTER DELETE ON dead BEGIN UPDATE totals SET dead = dead - old.bytes; END",
];

const COLUMNS = "key, version, size, sliceBytes, class, storedAt, lastUsedAt, uses, served, fetched, priority, held";

/** Opens the ledger in `sql`, and makes its tables at the first start. */
export function createLedger(sql: Sql) {
  for (const statement of SCHEMA) sql.exec(statement);
  let pins = readPins();

  function readPins(): readonly KeyPattern[] {
    const rows = rowsOf<{ pattern: string }>(sql, "SELECT pattern FROM pins ORDER BY pattern");
    return rows.flatMap(({ pattern }) => parseKeyPattern(pattern) ?? []);
  }

  function get(key: string): LedgerRow | null {
    return rowsOf<LedgerRow>(sql, `SELECT ${COLUMNS} FROM objects WHERE key = ?`, key)[0] ?? null;
  }

  /** Removes the row of an object whose head is gone. Its slices, if any, are a dead version from `now` on. */
  function remove(key: string, now: number): void {
    const row = get(key);
    if (row === null) return;
    bury(row, now);
    sql.exec("DELETE FROM objects WHERE key = ?", key);
  }

  function bury({ version, size, sliceBytes }: LedgerRow, now: number): void {
    if (sliceBytes === null) return;
    sql.exec("INSERT OR IGNORE INTO dead VALUES (?, ?, ?, ?)", version, Math.ceil(size / sliceBytes), size, now);
  }

  function put({ key, version, size, sliceBytes, class: pathClass, storedAt }: StoredRecord, ageFactor: number, now: number): void {
    const before = get(key);
    if (before?.version === version) {
      sql.exec("UPDATE objects SET storedAt = max(storedAt, ?) WHERE key = ?", storedAt, key);
    } else if (before !== null) {
      bury(before, now);
      sql.exec(
        "UPDATE objects SET version = ?, size = ?, sliceBytes = ?, class = ?, storedAt = ?, fetched = fetched + ? WHERE key = ?",
        version,
        size,
        sliceBytes,
        pathClass,
        storedAt,
        size,
        key,
      );
    } else {
      const held = rowsOf(sql, "SELECT 1 AS found FROM named WHERE key = ? LIMIT 1", key).length > 0 ? LIVE : FREE;
      sql.exec(
        "INSERT INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, ?, ?, ?, 0)",
        key,
        version,
        size,
        sliceBytes,
        pathClass,
        storedAt,
        storedAt,
        size,
        priorityOf(0, ageFactor),
        held,
      );
    }
  }

  /** Drops pinned rows, and marks them as PINNED so that the next eviction does not look at them again. */
  function unpinned(rows: readonly LedgerRow[]): readonly LedgerRow[] {
    return rows.filter(({ key }) => {
      if (!pins.some((pin) => pin.matches(key))) return true;
      sql.exec("UPDATE objects SET held = ? WHERE key = ?", PINNED, key);
      return false;
    });
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
      for (const { key, uses: count, served, lastUsedAt } of uses) {
        sql.exec(
          "UPDATE objects SET uses = uses + ?, served = served + ?, lastUsedAt = max(lastUsedAt, ?), priority = uses + ? + ? WHERE key = ?",
          count,
          served,
          lastUsedAt,
          count,
          ageFactor,
          key,
        );
      }
    },

    totals: (): Totals => rowsOf<Totals>(sql, "SELECT objects, live, dead FROM totals")[0] ?? { objects: 0, live: 0, dead: 0 },

    /** The rows that would be evicted next, in order, at most `limit`. `end`: there are no others. */
    lowest(limit: number): { readonly rows: readonly LedgerRow[]; readonly end: boolean } {
      for (;;) {
        const rows = rowsOf<LedgerRow>(
          sql,
          `SELECT ${COLUMNS} FROM objects WHERE held < ${PINNED} ORDER BY held, priority, key LIMIT ?`,
          limit,
        );
        const free = unpinned(rows);
        if (free.length > 0 || rows.length === 0) return { rows: free, end: rows.length < limit };
      }
    },

    /** Rows stored before `before`. A row that a live generation names is among them only if it was also last used before `before`. */
    past(before: number, limit: number): readonly LedgerRow[] {
      const query = `SELECT ${COLUMNS} FROM objects WHERE held = ? AND storedAt <= ? AND (held = ${FREE} OR lastUsedAt <= ?)
        ORDER BY storedAt LIMIT ?`;
      for (;;) {
        const rows = [FREE, LIVE].flatMap((held) => rowsOf<LedgerRow>(sql, query, held, before, before, limit));
        const free = unpinned(rows);
        if (free.length > 0 || rows.length === 0) return free.slice(0, limit);
      }
    },

    /** Rows whose key begins with `prefix` and comes after `after`, in the order of keys. */
    page(prefix: string, after: string, limit: number): readonly LedgerRow[] {
      return rowsOf<LedgerRow>(
        sql,
        `SELECT ${COLUMNS} FROM objects WHERE key > ? AND key >= ? AND key < ? ORDER BY key LIMIT ?`,
        after,
        prefix,
        `${prefix}\u{10FFFF}`,
        limit,
      );
    },

    dead: (before: number, limit: number): readonly DeadVersion[] =>
      rowsOf<DeadVersion>(sql, "SELECT version, slices, bytes, at FROM dead WHERE at <= ? ORDER BY at LIMIT ?", before, limit),
    isDead: (version: string): boolean => rowsOf(sql, "SELECT 1 AS found FROM dead WHERE version = ?", version).length > 0,
    /** Notes that only the first `slices` slices of a dead version are left; 0 removes its row. */
    shrinkDead(version: string, slices: number): void {
      if (slices > 0) sql.exec("UPDATE dead SET slices = ? WHERE version = ?", slices, version);
      else sql.exec("DELETE FROM dead WHERE version = ?", version);
    },
    hasVersion: (version: string): boolean =>
      rowsOf(sql, "SELECT 1 AS found FROM objects WHERE version = ? AND sliceBytes IS NOT NULL LIMIT 1", version).length > 0,

    /** Marks a row as met in the store by the pass of reconciliation that began at `pass`. */
    see: (key: string, pass: number): void => void sql.exec("UPDATE objects SET seen = ? WHERE key = ?", pass, key),
    /** Keys after `after`. `isMissing` is 1 for an object that was stored before `before` and that the pass has not met. */
    sightings(after: string, before: number, pass: number, limit: number): readonly { readonly key: string; readonly isMissing: number }[] {
      return rowsOf(
        sql,
        "SELECT key, (seen < ? AND storedAt < ?) AS isMissing FROM objects WHERE key > ? ORDER BY key LIMIT ?",
        pass,
        before,
        after,
        limit,
      );
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
      sql.exec(`UPDATE objects SET held = EXISTS (SELECT 1 FROM named WHERE named.key = objects.key) WHERE held = ${PINNED}`);
      return isThere;
    },
    isPinned: (key: string): boolean => pins.some((pin) => pin.matches(key)),

    /** Replaces the keys that `owner`'s published generation names: these rows are LIVE. */
    name(owner: string, keys: readonly string[]): void {
      const before = rowsOf<{ key: string }>(sql, "SELECT key FROM named WHERE owner = ?", owner);
      sql.exec("DELETE FROM named WHERE owner = ?", owner);
      for (const key of keys) sql.exec("INSERT OR IGNORE INTO named VALUES (?, ?)", key, owner);
      for (const key of new Set([...before.map((row) => row.key), ...keys])) {
        sql.exec(
          `UPDATE objects SET held = EXISTS (SELECT 1 FROM named WHERE named.key = objects.key) WHERE key = ? AND held < ${PINNED}`,
          key,
        );
      }
    },
  };
}
