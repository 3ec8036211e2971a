import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { createKeptRows } from "../../../src/metadata/kept-rows.ts";
import type { Sql } from "../../../src/store/sql.ts";
import { createMemorySql } from "../../support/memory-sql.ts";

const SECOND = 1000;

/** A Durable Object's storage, whose file survives the object. `fault` set: every write throws it, as on a full disk. */
function createStorage() {
  const database = new DatabaseSync(":memory:");
  const sql = createMemorySql(database);
  const world = {
    now: 1_000_000 * SECOND,
    fault: null as string | null,
    isUnreadable: false,
    writes: 0,
    unreadable: [] as string[],
    tables: () => sql.exec("SELECT name FROM sqlite_master").toArray().length,
    open: () =>
      createKeptRows({
        sql: guarded,
        transaction(work) {
          database.exec("BEGIN");
          try {
            work();
            database.exec("COMMIT");
          } catch (error) {
            database.exec("ROLLBACK");
            throw error;
          }
        },
        deleteAll() {
          database.exec("DROP TABLE kept");
        },
        now: () => world.now,
        onUnreadable: (error) => world.unreadable.push(String(error)),
      }),
  };
  const guarded: Sql = {
    exec(query, ...bindings) {
      if (!query.startsWith("SELECT")) world.writes++;
      if (world.fault !== null && !query.startsWith("SELECT")) throw new Error(world.fault);
      if (world.isUnreadable) throw new Error("database disk image is malformed: SQLITE_CORRUPT");
      return sql.exec(query, ...bindings);
    },
  };
  return world;
}

describe("kept rows", () => {
  it("survive their object, long ones and empty ones too", () => {
    const storage = createStorage();
    const long = "ü".repeat(1_200_000);
    const kept = storage.open();
    kept.save("a", "1");
    kept.save("a", "2");
    kept.save("long", long);
    kept.save("empty", "");
    kept.save("gone", "x");
    kept.remove("gone");
    const again = storage.open();
    expect([again.load("a"), again.load("long") === long, again.load("empty"), again.load("gone")]).toEqual(["2", true, "", null]);
    expect(again.keys().toSorted()).toEqual(["a", "empty", "long"]);
    again.save("long", "short");
    expect(storage.open().load("long")).toBe("short");
  });

  it("take no room for an object that keeps nothing", () => {
    const storage = createStorage();
    const kept = storage.open();
    expect([kept.load("a"), kept.keys()]).toEqual([null, []]);
    kept.remove("a");
    expect(storage.tables()).toBe(0);
  });

  it("are all gone once they are cleared", () => {
    const storage = createStorage();
    const kept = storage.open();
    kept.clear();
    kept.save("a", "1");
    kept.clear();
    expect([kept.load("a"), kept.keys(), storage.tables()]).toEqual([null, [], 0]);
    kept.save("b", "2");
    expect(storage.open().keys()).toEqual(["b"]);
  });

  it("stay in memory for half a minute after a refused write, and are then written together", () => {
    const storage = createStorage();
    storage.open().save("a", "before");
    storage.open().save("b", "before");
    const kept = storage.open();
    kept.pause();
    const { writes } = storage;
    kept.save("a", "after");
    kept.remove("b");
    kept.save("c", "new");
    expect(storage.writes).toBe(writes);
    expect([kept.load("a"), kept.load("b"), kept.load("c"), kept.keys().toSorted()]).toEqual(["after", null, "new", ["a", "c"]]);
    expect(storage.open().load("a")).toBe("before");
    expect(kept.isAhead()).toBe(true);
    storage.now += 31 * SECOND;
    kept.save("d", "later");
    expect(kept.isAhead()).toBe(false);
    const again = storage.open();
    expect([again.load("a"), again.load("b"), again.load("c"), again.load("d")]).toEqual(["after", null, "new", "later"]);
  });

  it("count in memory where the write throws, and go with the next one", () => {
    const storage = createStorage();
    const kept = storage.open();
    storage.fault = "database or disk is full: SQLITE_FULL";
    expect(() => kept.save("a", "1")).toThrow("SQLITE_FULL");
    expect(kept.load("a")).toBe("1");
    storage.fault = null;
    kept.save("b", "2");
    expect([storage.open().load("a"), storage.open().load("b")]).toEqual(["1", "2"]);
  });

  it("that cannot be read are rows that are not there, and that is said", () => {
    const storage = createStorage();
    const kept = storage.open();
    kept.save("a", "1");
    storage.isUnreadable = true;
    expect([kept.load("a"), kept.keys(), storage.open().load("a")]).toEqual([null, [], null]);
    expect(storage.unreadable[0]).toMatch("SQLITE_CORRUPT");
  });
});
