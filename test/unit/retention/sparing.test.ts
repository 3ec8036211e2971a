import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createHeldUses } from "../../../src/retention/held-uses.ts";
import { createLedger } from "../../../src/retention/ledger.ts";
import { createShard } from "../../../src/retention/shard.ts";
import { newVersion } from "../../../src/store/keys.ts";
import type { StoredObject } from "../../../src/store/stored-object.ts";
import { createHistory, emptyDay } from "../../../src/watch/history.ts";
import { createLedgers, DAY_MS } from "../../support/ledgers.ts";
import { createMemorySql } from "../../support/memory-sql.ts";
import { createMemoryStore } from "../../support/memory-store.ts";

const NOON = Date.UTC(2026, 10, 27, 12);

/** A ledger that spares rows, and what its rows say without what is in memory. */
function createSparing() {
  const sql = createMemorySql();
  const ledger = createLedger(sql, () => true);
  const put = (key: string, storedAt: number): void =>
    ledger.put({ key, version: newVersion(), size: 8, sliceBytes: null, class: "package", storedAt }, 0, storedAt);
  const use = (key: string, now: number, uses = 1, ageFactor = 0): void =>
    ledger.apply({ news: [], uses: [{ key, uses, served: 8 * uses, lastUsedAt: now }] }, ageFactor, now);
  const written = (key: string) => sql.exec("SELECT uses, served, lastUsedAt, priority FROM objects WHERE key = ?", key).toArray()[0];
  return { sql, ledger, put, use, written };
}

describe("a ledger that spares rows", () => {
  it("writes the first use of a day, and counts the later ones in all that it answers", () => {
    const { ledger, put, use, written } = createSparing();
    put("fedora/a", NOON - DAY_MS);
    for (let at = 0; at < 5; at++) use("fedora/a", NOON + at);
    expect(written("fedora/a")).toEqual({ uses: 1, served: 8, lastUsedAt: NOON, priority: 1 });
    expect(ledger.get("fedora/a")).toMatchObject({ uses: 5, served: 40, lastUsedAt: NOON + 4, priority: 5 });
    expect(ledger.page("fedora/", "", 10)[0]).toMatchObject({ uses: 5 });
  });

  it("writes what is held with the first use of the next day", () => {
    const { put, use, written } = createSparing();
    put("fedora/a", NOON - DAY_MS);
    for (let at = 0; at < 5; at++) use("fedora/a", NOON + at);
    use("fedora/a", NOON + DAY_MS);
    expect(written("fedora/a")).toEqual({ uses: 6, served: 48, lastUsedAt: NOON + DAY_MS, priority: 6 });
  });

  it("writes what is held from the day before when it is settled, and nothing of today", () => {
    const { ledger, put, use, written } = createSparing();
    for (const key of ["fedora/a", "fedora/b"]) put(key, NOON - DAY_MS);
    for (const key of ["fedora/a", "fedora/b"]) use(key, NOON);
    use("fedora/a", NOON + 1);
    ledger.settle(NOON + 2, 10);
    expect(written("fedora/a")).toMatchObject({ uses: 1 });
    ledger.settle(NOON + DAY_MS, 10);
    expect(written("fedora/a")).toMatchObject({ uses: 2, lastUsedAt: NOON + 1 });
  });

  it("spares an object whose uses are held: they count when it comes to what goes next", () => {
    const { ledger, put, use } = createSparing();
    for (const key of ["fedora/a", "fedora/b"]) put(key, NOON);
    for (let at = 0; at < 3; at++) use("fedora/a", NOON + at);
    use("fedora/b", NOON);
    expect(ledger.lowest(10, NOON + 5).rows.map(({ key }) => key)).toEqual(["fedora/b", "fedora/a"]);
  });

  it("names what was used longest ago first among those with one key", () => {
    const { ledger, put } = createSparing();
    for (const [key, at] of [
      ["fedora/a", 3],
      ["fedora/b", 1],
      ["fedora/c", 2],
    ] as const)
      put(key, NOON + at);
    expect(ledger.lowest(10, NOON + 5).rows.map(({ key }) => key)).toEqual(["fedora/b", "fedora/c", "fedora/a"]);
  });

  it("gives held uses the L of their time, not that of the time at which they are written", () => {
    const { ledger, put, use } = createSparing();
    put("fedora/a", NOON);
    use("fedora/a", NOON + 1, 2, 10);
    use("fedora/a", NOON + 2, 1, 11);
    use("fedora/b", NOON + 2, 1, 90);
    expect(ledger.lowest(1, NOON + 5).rows[0]).toMatchObject({ uses: 3, priority: 14 });
  });

  it("does not let a live file go past its age on the ground of a use that is held", () => {
    const { ledger, put, use } = createSparing();
    put("-/sha256/a", NOON);
    ledger.name("fedora/os", [["-/sha256/a", null]]);
    use("-/sha256/a", NOON + DAY_MS);
    use("-/sha256/a", NOON + DAY_MS + 3_600_000);
    expect(ledger.past(NOON + 91 * DAY_MS + 1_800_000, 90 * DAY_MS, 10)).toEqual([]);
    expect(ledger.past(NOON + 91 * DAY_MS + 3_600_000, 90 * DAY_MS, 10)).toHaveLength(1);
  });

  it("knows its totals after a restart, whatever was written", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(5), fc.boolean(), fc.boolean(), fc.nat(3)), { maxLength: 30 }), (steps) => {
        const sql = createMemorySql();
        let isSparing = false;
        let ledger = createLedger(sql, () => isSparing);
        for (const [name, isStored, isSparingNow, act] of steps) {
          isSparing = isSparingNow;
          const key = `fedora/${name}`;
          if (isStored) ledger.put({ key, version: newVersion(), size: name + 10, sliceBytes: 4, class: "package", storedAt: 1 }, 0, 1);
          else ledger.remove(key, 1);
          if (act === 1) for (const { version } of ledger.dead(9, 1)) ledger.shrinkDead(version, 0);
          if (act === 2) ledger.settle(1, 10);
          if (act === 3) ledger = createLedger(sql, () => isSparing);
          const [sums] = sql.exec("SELECT count(*) AS objects, coalesce(sum(size), 0) AS live FROM objects").toArray();
          const [dead] = sql.exec("SELECT coalesce(sum(bytes), 0) AS dead FROM dead").toArray();
          expect(ledger.totals()).toEqual({ ...sums, ...dead });
          expect(createLedger(sql).totals()).toEqual({ ...sums, ...dead });
        }
      }),
    );
  });
});

it("totals that a failed write left behind are right again after the next pass over the store", async () => {
  const sql = createMemorySql();
  const ledger = createLedger(sql);
  ledger.put({ key: "fedora/a", version: newVersion(), size: 8, sliceBytes: null, class: "package", storedAt: NOON }, 0, NOON);
  sql.exec("UPDATE totals SET objects = 0, live = 0");
  const restarted = createLedger(sql);
  const store = createMemoryStore(() => NOON);
  const limits = {
    now: () => NOON,
    retentionMs: 90 * DAY_MS,
    startedAt: 0,
    prefix: "fedora/",
    classOf: () => "package",
  };
  const shard = createShard({ ledger: restarted, store, ...limits });
  expect((await shard.sweep(0)).totals).toEqual({ objects: 1, live: 8, dead: 0 });
});

it("held uses are written once there is no more room for them, those that were used longest ago first", () => {
  const held = createHeldUses(2);
  const use = (key: string) => ({ key, uses: 1, served: 1, lastUsedAt: 1, ageFactor: 0 });
  expect([held.hold(use("a")), held.hold(use("b"))].flat()).toEqual([]);
  expect(held.hold(use("c"))).toEqual([use("a")]);
});

it("the counts of days are written once a minute while rows are spared, and shown at once", () => {
  const sql = createMemorySql();
  let now = NOON;
  const history = createHistory(
    sql,
    () => now,
    () => true,
  );
  const count = (): void => history.count([{ ...emptyDay("fedora", "2026-11-27"), requests: 1 }]);
  const written = () => sql.exec("SELECT requests FROM days").toArray()[0]?.["requests"];
  count();
  count();
  expect([written(), history.requestsOn("2026-11-27")]).toEqual([1, 2]);
  now += 60_000;
  count();
  expect(written()).toBe(3);
  count();
  expect(history.days()).toEqual([{ ...emptyDay("fedora", "2026-11-27"), requests: 4 }]);
});

describe("a pass over a store that lists in the order of keys", () => {
  const object = (storedAt: number): StoredObject => ({
    version: newVersion(),
    size: 5,
    contentType: "x",
    upstream: "u",
    storedAt,
    verified: "none",
  });

  it("takes in what has no row, lets go of what has no object, and keeps all else, over many pages", async () => {
    let now = NOON;
    const store = createMemoryStore(() => now);
    const ledgers = createLedgers({ store, now: () => now, budget: 1e9 });
    const ledger = ledgers.ledger("fedora");
    for (let at = 0; at < 1_300; at++) {
      const key = `fedora/${String(at).padStart(5, "0")}`;
      const one = object(now);
      if (at % 13 !== 0) await store.put(key, one, new Uint8Array(5));
      if (at % 7 !== 0) ledger.put({ key, ...one, sliceBytes: null, class: "package" }, 0, now);
    }
    now += 3_600_000;
    for (let runs = 0; runs < 3; runs++) await ledgers.book.sweep();
    expect(ledger.page("", "", 9_999).map(({ key }) => key)).toEqual([...store.heads.keys()]);
  });

  it("lets go of all rows where the store lost everything, some hundred a page", async () => {
    let now = NOON;
    const ledgers = createLedgers({ store: createMemoryStore(() => now), now: () => now, budget: 1e9 });
    const ledger = ledgers.ledger("fedora");
    for (let at = 0; at < 1_300; at++) ledger.put({ key: `fedora/${at}`, ...object(now), sliceBytes: null, class: "package" }, 0, now);
    now += 3_600_000;
    for (let runs = 0; runs < 4; runs++) await ledgers.book.sweep();
    expect(ledger.totals()).toEqual({ objects: 0, live: 0, dead: 0 });
  });
});

it("the budget holds while rows are spared, though fills reserve their room in memory alone", async () => {
  const store = createMemoryStore(() => NOON);
  const ledgers = createLedgers({ store, now: () => NOON, budget: 100, isSparing: () => true });
  const admitted = await Promise.all(Array.from({ length: 30 }, async (_, at) => ledgers.book.reserve(`fedora/${at}`, 8, 0)));
  expect(admitted.filter((one) => one.admitted)).toHaveLength(12);
});
