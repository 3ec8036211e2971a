import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, test } from "vitest";
import { sweepObjects } from "../../../../src/local/server/sweep-objects.ts";

const KEPT = "CREATE TABLE kept (key TEXT NOT NULL, part INTEGER NOT NULL, value TEXT NOT NULL, PRIMARY KEY (key, part)) WITHOUT ROWID";
const ROW = "INSERT INTO kept VALUES ('root:os', 0, 'a generation')";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lazy-mirror-objects-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A Durable Object's file as workerd leaves it; open while `isKilled`, so that what was written last lies in its journal. */
function makeFile(path: string, statements: readonly string[], isKilled = false): string {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  const database = new DatabaseSync(file);
  database.exec("PRAGMA journal_mode = WAL");
  // One page, without a table.
  database.exec("CREATE TABLE t (a); DROP TABLE t; VACUUM");
  database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  for (const statement of statements) database.exec(statement);
  if (isKilled) opened.push(database);
  else database.close();
  return file;
}
const opened: DatabaseSync[] = [];

const nameOf = (digit: string): string => `do/lazy-mirror-RepositoryObject/${digit.repeat(64)}.sqlite`;

test("files of repositories that keep nothing go, and all others stay", () => {
  const empty = [makeFile(nameOf("0"), []), makeFile(nameOf("1"), [KEPT]), makeFile(nameOf("2"), [KEPT, ROW, "DELETE FROM kept"])];
  const kept = [
    makeFile(nameOf("3"), [KEPT, ROW]),
    makeFile(nameOf("4"), ["CREATE TABLE other (a)"]),
    makeFile("do/lazy-mirror-RepositoryObject/metadata.sqlite", []),
    makeFile(`do/lazy-mirror-LedgerObject/${"5".repeat(64)}.sqlite`, []),
    join(folder, nameOf("6")),
  ];
  writeFileSync(join(folder, nameOf("6")), "x".repeat(5_000));
  writeFileSync(`${empty[0]}-wal`, "");
  writeFileSync(`${empty[0]}-shm`, "x".repeat(32_768));
  expect(sweepObjects(folder)).toBe(3);
  expect([...empty, `${empty[0]}-wal`, `${empty[0]}-shm`].filter((file) => existsSync(file))).toEqual([]);
  expect(kept.filter((file) => !existsSync(file))).toEqual([]);
  expect(sweepObjects(folder)).toBe(0);
});

test("what a killed server had written last counts, although it lies in the journal only", () => {
  const file = makeFile(nameOf("7"), [KEPT, ROW], true);
  expect(existsSync(`${file}-wal`)).toBe(true);
  expect(sweepObjects(folder)).toBe(0);
  for (const database of opened) database.close();
  expect(existsSync(file)).toBe(true);
});

test("an empty folder is no trouble", () => {
  expect(sweepObjects(folder)).toBe(0);
});
