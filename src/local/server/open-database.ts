import { statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";

/**
 * Opens a database on which no server runs. What a killed server left in its WAL or journal belongs to it; without that SQLite only reads, and makes no files
 * beside it: there may be thousands of databases, and those files take ten times as long as the reading. Throws what SQLite throws.
 */
export function openDatabase(path: string): DatabaseSync {
  const isComplete = ["-wal", "-journal"].every((end) => (statSync(path + end, { throwIfNoEntry: false })?.size ?? 0) === 0);
  if (!isComplete) return new DatabaseSync(path);
  const url = pathToFileURL(path);
  // https://sqlite.org/uri.html: no locks, and no look for a WAL.
  url.searchParams.set("immutable", "1");
  return new DatabaseSync(url, { readOnly: true });
}
