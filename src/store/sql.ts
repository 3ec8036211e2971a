/** A value that SQLite stores. */
export type SqlValue = string | number | null;

/** SQLite as a Durable Object has it: synchronous, and all statements between two awaits are one transaction. */
export interface Sql {
  exec(
    query: string,
    ...bindings: SqlValue[]
  ): {
    toArray(): Record<string, unknown>[];
    /** Rows that the statement wrote, those of indexes included; absent where nothing counts them. */
    readonly rowsWritten?: number;
  };
}

/** Rows as their type says: only for queries that name every column of `T`. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the caller knows its columns
export function rowsOf<T>(sql: Sql, query: string, ...bindings: SqlValue[]): readonly T[] {
  return sql.exec(query, ...bindings).toArray() as T[];
}

/** Small values that survive restarts, by name, in a table of their own, `notes`, which is created where it is absent. */
export function createNotes(sql: Sql) {
  sql.exec("CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID");
  return {
    get: (name: string): string | null => rowsOf<{ value: string }>(sql, "SELECT value FROM notes WHERE name = ?", name)[0]?.value ?? null,
    set: (name: string, value: string) => void sql.exec("INSERT OR REPLACE INTO notes VALUES (?, ?)", name, value),
  };
}

/** Adds the columns (texts) that a table made by an earlier version lacks. */
export function addColumns(sql: Sql, table: string, columns: readonly string[]): void {
  const known = rowsOf<{ name: string }>(sql, `PRAGMA table_info(${table})`).map(({ name }) => name);
  for (const column of columns) if (!known.includes(column)) sql.exec(`ALTER TABLE ${table} ADD COLUMN ${column} TEXT`);
}
