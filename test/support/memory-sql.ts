import { DatabaseSync } from "node:sqlite";
import type { Sql } from "../../src/store/sql.ts";

/** SQLite with the shape that a Durable Object's storage gives it. */
export function createMemorySql(database = new DatabaseSync(":memory:")): Sql {
  const statements = new Map<string, ReturnType<DatabaseSync["prepare"]>>();
  return {
    exec(query, ...bindings) {
      const statement = statements.get(query) ?? database.prepare(query);
      statements.set(query, statement);
      const rows = statement.all(...bindings);
      return { toArray: () => rows };
    },
  };
}
