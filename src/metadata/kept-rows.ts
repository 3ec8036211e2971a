import { elapsedMs } from "../clock/elapsed.ts";
import type { Sql } from "../store/sql.ts";
import type { KeptState } from "./ports/kept-state.ts";

/** A text is kept in parts of this length: SQLite takes 2 MB a value, and a character is up to 3 bytes of UTF-8. */
const PART_CHARACTERS = 500_000;
const COLUMNS = "key TEXT NOT NULL, part INTEGER NOT NULL, value TEXT NOT NULL, PRIMARY KEY (key, part)";
/** After a refused write nothing is written for so long. */
const PAUSE_MS = 30_000;

export interface KeptRowsDependencies {
  readonly sql: Sql;
  /** Runs `work` and undoes all of it where it throws. */
  readonly transaction: (work: () => void) => void;
  /** Removes all, and the tables. */
  readonly deleteAll: () => void;
  readonly now: () => number;
  /** Receives why rows could not be read: a damaged file. */
  readonly onUnreadable: (error: unknown) => void;
}

export interface KeptRows extends KeptState {
  /**
   * A write of an earlier instance was refused, as on a full disk: what is saved stays in memory alone for half a minute, and is written with the first save
   * after that. A restart before loses it, and the object is as of its last write.
   */
  pause(): void;
  /** Whether something is in memory alone: a restart would answer as before it was saved. */
  isAhead(): boolean;
  /** Removes all, and the tables. */
  clear(): void;
}

/**
 * Keeps texts as rows of a Durable Object's SQLite. A row that cannot be read is a row that is not there: what the object knew it fetches anew.
 */
export function createKeptRows({ sql, transaction, deleteAll, now, onUnreadable }: KeptRowsDependencies): KeptRows {
  // Only an object with something to keep creates a table: an upstream may show a root that nothing can be made of.
  let exists = read("SELECT 1 FROM sqlite_master WHERE name = 'kept'").length > 0;
  /** What memory alone has, by key; null: to be removed. */
  const unwritten = new Map<string, string | null>();
  let pausedAt = -Infinity;

  function read(query: string, ...bindings: string[]): readonly Record<string, unknown>[] {
    try {
      return sql.exec(query, ...bindings).toArray();
    } catch (error) {
      onUnreadable(error);
      return [];
    }
  }

  function change(key: string, value: string | null): void {
    unwritten.set(key, value);
    if (elapsedMs(pausedAt, now()) < PAUSE_MS) return;
    transaction(() => {
      if (!exists) sql.exec(`CREATE TABLE IF NOT EXISTS kept (${COLUMNS}) WITHOUT ROWID`);
      for (const [changed, text] of unwritten) writeRow(changed, text);
    });
    exists = true;
    unwritten.clear();
  }

  function writeRow(key: string, value: string | null): void {
    sql.exec("DELETE FROM kept WHERE key = ?", key);
    for (let part = 0; value !== null && (part === 0 || part * PART_CHARACTERS < value.length); part++) {
      const text = value.slice(part * PART_CHARACTERS, (part + 1) * PART_CHARACTERS);
      sql.exec("INSERT INTO kept (key, part, value) VALUES (?, ?, ?)", key, part, text);
    }
  }

  return {
    load(key) {
      const changed = unwritten.get(key);
      if (changed !== undefined) return changed;
      const parts = exists ? read("SELECT value FROM kept WHERE key = ? ORDER BY part", key) : [];
      return parts.length === 0 ? null : parts.map(({ value }) => String(value)).join("");
    },
    save: (key, value) => change(key, value),
    remove(key) {
      if (exists || unwritten.has(key)) change(key, null);
    },
    keys() {
      const rows = exists ? read("SELECT DISTINCT key FROM kept") : [];
      const kept = rows.map(({ key }) => String(key)).filter((key) => !unwritten.has(key));
      return [...kept, ...[...unwritten].flatMap(([key, value]) => (value === null ? [] : [key]))];
    },
    pause() {
      pausedAt = now();
    },
    isAhead: () => unwritten.size > 0,
    clear() {
      unwritten.clear();
      if (exists) deleteAll();
      exists = false;
    },
  };
}
