import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { setAsideDamaged } from "../../../../src/local/server/damaged-databases.ts";

let folder: string;
let objects: string;
let aside: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lazy-mirror-aside-"));
  objects = join(folder, "objects");
  aside = join(folder, "set-aside");
  for (const name of ["LedgerObject", "RepositoryObject"]) mkdirSync(join(objects, "do", `lazy-mirror-${name}`), { recursive: true });
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A database of some pages, closed. */
function make(name: string): string {
  const path = join(objects, "do", name);
  const database = new DatabaseSync(path);
  database.exec("CREATE TABLE kept (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID");
  for (let row = 0; row < 50; row++) database.prepare("INSERT INTO kept VALUES (?, ?)").run(`key ${row}`, "x".repeat(500));
  database.close();
  return path;
}

describe("databases", () => {
  test("that are whole stay, and an empty one is whole", () => {
    make("lazy-mirror-LedgerObject/1.sqlite");
    writeFileSync(join(objects, "do/lazy-mirror-LedgerObject/2.sqlite"), "");
    expect(setAsideDamaged(objects, aside)).toEqual([]);
    expect(existsSync(aside)).toBe(false);
  });

  test("keep what a killed server left in the WAL", () => {
    const path = join(objects, "do/lazy-mirror-LedgerObject/1.sqlite");
    const open = new DatabaseSync(path);
    open.exec("PRAGMA journal_mode = WAL; CREATE TABLE kept (key TEXT); INSERT INTO kept VALUES ('a')");
    const copy = join(objects, "do/lazy-mirror-LedgerObject/2.sqlite");
    for (const end of ["", "-wal"]) writeFileSync(copy + end, readFileSync(path + end));
    open.close();
    expect(setAsideDamaged(objects, aside)).toEqual([]);
    const again = new DatabaseSync(copy);
    expect(again.prepare("SELECT key FROM kept").all()).toEqual([{ key: "a" }]);
    again.close();
  });

  test.each<[string, (path: string) => void]>([
    ["overwritten", (path) => writeFileSync(path, "x".repeat(8192))],
    ["cut", (path) => truncateSync(path, 4096)],
    ["of zeros, as a power cut may leave it", (path) => writeFileSync(path, Buffer.alloc(readFileSync(path).length))],
    ["damaged behind the first page", (path) => writeFileSync(path, readFileSync(path).fill(7, 4096))],
  ])("that are %s go aside with all that belongs to them, and the line says what comes of it", (_, damage) => {
    const whole = make("lazy-mirror-RepositoryObject/1.sqlite");
    const ledger = make("lazy-mirror-LedgerObject/2.sqlite");
    damage(ledger);
    const damaged = readFileSync(ledger);
    writeFileSync(`${ledger}-wal`, "");
    const found = setAsideDamaged(objects, aside, Date.UTC(2026, 0, 2, 3, 4, 5));
    expect(found).toEqual([
      expect.stringMatching(/^Set aside the damaged database .*2\.sqlite" \(.+\): the ledger is made anew of what is stored/),
    ]);
    expect([existsSync(whole), existsSync(ledger), existsSync(`${ledger}-wal`)]).toEqual([true, false, false]);
    expect(readFileSync(join(aside, "2026-01-02T03-04-05.000Z/do/lazy-mirror-LedgerObject/2.sqlite"))).toEqual(damaged);
    expect(setAsideDamaged(objects, aside)).toEqual([]);
  });

  test("set aside again and again are kept a few times", () => {
    for (let day = 1; day <= 8; day++) {
      writeFileSync(join(objects, "do/lazy-mirror-RepositoryObject/metadata.sqlite"), "no database");
      expect(setAsideDamaged(objects, aside, Date.UTC(2026, 0, day))).toEqual([expect.stringContaining("workerd makes it anew")]);
    }
    expect(readdirSync(aside)).toHaveLength(5);
    expect(readdirSync(aside)[0]).toMatch(/^2026-01-04/);
  });
});
