import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, test } from "vitest";
import { measureStore, objectId } from "../../../../src/local/server/measure-store.ts";
import { createLedger } from "../../../../src/retention/ledger.ts";
import { createMemorySql } from "../../../support/memory-sql.ts";

const CLASS = "lazy-mirror-LedgerObject";
/** What lies in the store, which no ledger has counted as this. */
const FOUND = 5_000;

let folder: string;
let store: string;
let objects: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lazy-mirror-measure-"));
  store = join(folder, "store");
  objects = join(folder, "objects");
  place("meta/m/a.deb.json", 1_000);
  place("objects/m/a.deb", 4_000);
});
afterEach(() => rmSync(folder, { recursive: true }));

test("the store is as large as its ledgers say, once each has been through its mirror's files", () => {
  writeLedger("-", 0);
  writeLedger("m", 4_000);
  expect(measureStore(store, objects)).toBe(4_000);
});

test("what a killed server left in a ledger's WAL counts", () => {
  writeLedger("-", 0);
  writeLedger("m", 4_000);
  const path = pathOf("m");
  const database = new DatabaseSync(path);
  database.exec("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; UPDATE totals SET live = 7_000");
  cpSync(path, `${path}.killed`);
  cpSync(`${path}-wal`, `${path}.killed-wal`);
  database.close();
  for (const end of ["", "-wal"]) renameSync(`${path}.killed${end}`, path + end);
  expect(measureStore(store, objects)).toBe(7_000);
});

test.for([
  ["there is no ledger", () => {}],
  ["a mirror has none", () => writeLedger("-", 0)],
  ["the one with the book is lost", () => writeLedger("m", 4_000)],
  [
    "one was made anew and has not been through its mirror's files",
    () => {
      writeLedger("-", 0);
      writeLedger("m", 10, false);
    },
  ],
  [
    "workerd was killed, which may have stored what it reported to none",
    () => {
      writeLedger("-", 0);
      writeLedger("m", 4_000);
      writeFileSync(join(dirname(pathOf("m")), "metadata.sqlite-wal"), "");
    },
  ],
  [
    "one is damaged",
    () => {
      writeLedger("-", 0);
      writeFileSync(pathOf("m"), "x".repeat(8_192));
    },
  ],
] as const)("the sizes of all files are added up where %s", ([, arrange]) => {
  arrange();
  expect(measureStore(store, objects)).toBe(FOUND);
});

test("the id of an object is the one that workerd gives it", () => {
  // As workerd named the databases of the ledgers in test/fixtures/state-0.1.
  expect(objectId(CLASS, "-")).toBe("ebe6ee99050ee74773a13952acb6bf4a5f6010dc8ae0805bc3e9f684ee11c36e");
  expect(objectId(CLASS, "debian")).toBe("3e0a720181c4560b1c557f4050aab11ce68f2646d79579ca276edc4d1c1c09e4");
});

function writeLedger(mirror: string, bytes: number, isThrough = true): void {
  mkdirSync(dirname(pathOf(mirror)), { recursive: true });
  const database = new DatabaseSync(pathOf(mirror));
  const ledger = createLedger(createMemorySql(database));
  if (bytes > 0) {
    const record = { version: "0".repeat(32), size: bytes, sliceBytes: null, class: "package", storedAt: 1 };
    ledger.put({ key: `${mirror}/a.deb`, ...record }, 0, 1);
  }
  if (isThrough) ledger.notes.set("passBefore", "1");
  database.close();
}

function pathOf(mirror: string): string {
  return join(objects, "do", CLASS, `${objectId(CLASS, mirror)}.sqlite`);
}

function place(path: string, bytes: number): void {
  mkdirSync(dirname(join(store, path)), { recursive: true });
  writeFileSync(join(store, path), Buffer.alloc(bytes));
}
