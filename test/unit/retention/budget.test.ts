import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRetention } from "../../../src/retention/retention.ts";
import { newVersion } from "../../../src/store/keys.ts";
import type { ObjectStore } from "../../../src/store/object-store.ts";
import { createLedgers, DAY_MS, type Ledgers } from "../../support/ledgers.ts";
import { createMemoryStore, type MemoryStore } from "../../support/memory-store.ts";

const SLICE = 8;
const BUDGET = 200;
const HOUR_MS = 3_600_000;

interface World {
  readonly store: MemoryStore;
  readonly watched: ObjectStore;
  readonly ledgers: Ledgers;
  readonly retention: ReturnType<typeof createRetention>;
  /** Calls of the ledger by this isolate. */
  readonly calls: string[];
  /** Files that were passed on unstored, with the reason. */
  readonly passed: string[];
  pass(ms: number): void;
  now(): number;
}

function createWorld(): World {
  let now = 1_000_000_000;
  const store = createMemoryStore(() => now);
  const ledgers = createLedgers({ store, now: () => now, budget: BUDGET });
  const calls: string[] = [];
  const passed: string[] = [];
  const retention = createRetention({
    ledger: (name) => ({
      record: (batch) => (calls.push("record"), ledgers.port(name).record(batch)),
      reserve: (key, size, unreported) => (calls.push("reserve"), ledgers.port(name).reserve(key, size, unreported)),
    }),
    budget: BUDGET,
    classOf: () => "package",
    now: () => now,
    sleep: () => new Promise(() => {}),
    waitUntil: () => {},
    log: () => {},
    onPassed: (key, _size, why) => passed.push(`${key}: ${why}`),
  });
  return { passed, store, watched: retention.watch(store), ledgers, retention, calls, pass: (ms) => void (now += ms), now: () => now };
}

/** What a fill does with the store. Whether it was stored. */
async function fill({ watched, retention, now }: World, name: string, size: number): Promise<boolean> {
  const key = `fedora/${name}`;
  if (!(await retention.admit(key, size))) return false;
  const object = { version: newVersion(), size, contentType: "x", upstream: "u", storedAt: now(), verified: "none" } as const;
  if (size <= SLICE) {
    await watched.put(key, object, new Uint8Array(size));
    return true;
  }
  for (let index = 0; index * SLICE < size; index++) {
    await watched.putSlice(object.version, index, new Uint8Array(Math.min(SLICE, size - index * SLICE)));
    if (index === 0) await watched.put(key, { ...object, sliceBytes: SLICE }, new Uint8Array(0));
  }
  return true;
}

const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant("fill" as const), name: fc.nat(30), size: fc.integer({ min: 0, max: 120 }) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("use" as const), name: fc.nat(30) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("flush" as const, "sweep" as const, "restart" as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("pass" as const), ms: fc.constantFrom(1_000, 120_000, HOUR_MS, 30 * HOUR_MS) }) },
);

describe("the budget", () => {
  it("holds at every moment, whatever is filled, used, evicted and restarted", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
        const world = createWorld();
        for (const one of steps) {
          if (one.do === "fill") await fill(world, `p${one.name}`, one.size);
          if (one.do === "use") world.retention.use(`fedora/p${one.name}`, 1);
          if (one.do === "flush") await world.retention.flush();
          if (one.do === "sweep") await world.ledgers.book.sweep();
          if (one.do === "restart") world.ledgers.restart();
          if (one.do === "pass") world.pass(one.ms);
          expect(world.store.bytes()).toBeLessThanOrEqual(BUDGET);
        }
        await world.retention.flush();
        // And the book knows of every byte.
        expect(world.ledgers.book.view().used).toBeGreaterThanOrEqual(world.store.bytes());
      }),
      { numRuns: 200 },
    );
  });

  it("holds where one file is replaced again and again: the bytes of each version stay for a while", async () => {
    const world = createWorld();
    for (const size of [68, 80, 53, 60, 70]) {
      await fill(world, "same", size);
      expect(world.store.bytes()).toBeLessThanOrEqual(BUDGET);
    }
  });

  it("passes an object that can never fit on unstored, without asking", async () => {
    const world = createWorld();
    expect(await fill(world, "giant", BUDGET * 0.9 + 1)).toBe(false);
    expect(world.calls).toEqual([]);
    expect(world.passed).toEqual(["fedora/giant: too-large"]);
  });

  it("stores an object over half of it at once where nothing has to go for it", async () => {
    const world = createWorld();
    expect(await fill(world, "giant", BUDGET * 0.9)).toBe(true);
    expect(world.passed).toEqual([]);
  });

  it("takes a large object in place of others only when it is asked for again, after its first download, also over a restart", async () => {
    const world = createWorld();
    for (let index = 0; index < 12; index++) await fill(world, `p${index}`, 8);
    const large = () => fill(world, "large", BUDGET / 2 + 4);
    expect(await large()).toBe(false);
    // Another part of the same download.
    world.pass(5_000);
    expect(await large()).toBe(false);
    expect(world.passed).toEqual(["fedora/large: first-request", "fedora/large: first-request"]);
    expect(world.store.heads.size).toBe(12);
    world.pass(HOUR_MS);
    await world.retention.flush();
    world.ledgers.restart();
    expect(await large()).toBe(true);
    // Only as many went as it needed: what came first.
    expect(world.store.heads.has("fedora/p0")).toBe(false);
    expect(world.store.heads.has("fedora/p11")).toBe(true);
  });

  it("forgets a first request after a month", async () => {
    const world = createWorld();
    for (let index = 0; index < 12; index++) await fill(world, `p${index}`, 8);
    expect(await fill(world, "large", BUDGET / 2 + 4)).toBe(false);
    world.pass(31 * DAY_MS);
    expect(await fill(world, "large", BUDGET / 2 + 4)).toBe(false);
  });

  it("makes room by what was used least, and keeps what was used", async () => {
    const world = createWorld();
    for (let index = 0; index < 23; index++) await fill(world, `p${index}`, 8);
    for (let uses = 0; uses < 3; uses++) world.retention.use("fedora/p0", 8);
    expect(await fill(world, "new", 8)).toBe(true);
    expect(world.store.heads.has("fedora/p0")).toBe(true);
    expect(world.store.heads.has("fedora/p1")).toBe(false);
  });

  it("spares what a live generation names, and never takes what is pinned", async () => {
    const world = createWorld();
    for (let index = 0; index < 23; index++) await fill(world, `p${index}`, 8);
    await world.retention.flush();
    const ledger = world.ledgers.ledger("fedora");
    ledger.name("fedora/repo", [["fedora/p0", null]]);
    ledger.pin("fedora/p1");
    for (let index = 0; index < 40; index++) await fill(world, `q${index}`, 8);
    expect(world.store.heads.has("fedora/p0")).toBe(true);
    expect(world.store.heads.has("fedora/p1")).toBe(true);
    ledger.unpin("fedora/p1");
    for (let index = 0; index < 40; index++) await fill(world, `r${index}`, 8);
    expect(world.store.heads.has("fedora/p1")).toBe(false);
  });

  it("keeps the slices of an evicted object for a quarter of an hour for requests that read it, and counts them", async () => {
    const world = createWorld();
    await fill(world, "old", 96);
    for (let index = 0; index < 12; index++) await fill(world, `p${index}`, 8);
    expect(world.store.heads.has("fedora/old")).toBe(false);
    expect(world.store.slices.size).toBe(12);
    expect(world.store.bytes()).toBeLessThanOrEqual(BUDGET);
    for (let index = 0; index < 4; index++) await fill(world, `full${index}`, 8);
    world.pass(15 * 60_000);
    for (let index = 0; index < 4; index++) expect(await fill(world, `after${index}`, 8)).toBe(true);
    expect(world.store.slices.size).toBe(0);
  });
});

describe("the cost", () => {
  it("far from the limit is one question a minute, and one batch for uses of 100 objects; none for a use", async () => {
    const world = createWorld();
    await fill(world, "first", 1);
    expect(world.calls.splice(0)).toEqual(["reserve"]);
    for (let index = 0; index < 40; index++) await fill(world, `p${index}`, 1);
    for (let index = 0; index < 1_000; index++) world.retention.use("fedora/first", 1);
    for (let index = 0; index < 98; index++) world.retention.use(`fedora/p${index}`, 1);
    expect(world.calls.splice(0)).toEqual([]);
    world.retention.use("fedora/last", 1);
    expect(world.calls.splice(0)).toEqual(["record"]);
  });
});

describe("a ledger that cannot be reached", () => {
  it("loses nothing of what was stored: the next batch tells it", async () => {
    const reported: string[] = [];
    let isDown = true;
    const retention = createRetention({
      ledger: () => ({
        record: async (batch) => {
          if (isDown) throw new Error("down");
          reported.push(...batch.news.map(({ key }) => key), ...batch.uses.map(({ key, uses }) => `${key} ${uses}`));
          return { used: 0, ageFactor: 0 };
        },
        reserve: async () => Promise.reject(new Error("down")),
      }),
      budget: BUDGET,
      classOf: () => "package",
      now: () => 1_000_000_000,
      sleep: () => new Promise(() => {}),
      waitUntil: () => {},
      log: () => {},
    });
    const object = { version: newVersion(), size: 1, contentType: "x", upstream: "u", storedAt: 1, verified: "none" } as const;
    await retention.watch(createMemoryStore(() => 1)).put("fedora/a", object, new Uint8Array(1));
    retention.use("fedora/a", 1);
    await retention.flush();
    expect(await retention.admit("fedora/b", 1)).toBe(false);
    isDown = false;
    retention.use("fedora/a", 1);
    await retention.flush();
    expect(reported).toEqual(["fedora/a", "fedora/a 2"]);
  });
});

describe("housekeeping", () => {
  it("gives the room back that a fill reserved while the clock was far ahead", async () => {
    const world = createWorld();
    world.pass(365 * DAY_MS);
    expect(await world.ledgers.book.reserve("fedora/a", 8, 0)).toMatchObject({ admitted: true, used: 8 });
    world.pass(-365 * DAY_MS);
    await world.ledgers.book.sweep();
    expect(world.ledgers.book.view().used).toBe(0);
  });

  it("deletes what is past its age, at that second and not before", async () => {
    const world = createWorld();
    await fill(world, "a", 8);
    await world.retention.flush();
    world.pass(90 * DAY_MS - 1_000);
    await world.ledgers.book.sweep();
    expect(world.store.heads.has("fedora/a")).toBe(true);
    world.pass(1_000);
    await world.ledgers.book.sweep();
    expect(world.store.heads.has("fedora/a")).toBe(false);
  });

  it("of one mirror goes on while that of another one fails", async () => {
    const old = { version: newVersion(), size: 5, contentType: "x", upstream: "u", storedAt: 0, verified: "none" } as const;
    const store = createMemoryStore(() => 91 * DAY_MS);
    const ledgers = createLedgers({ store, now: () => 91 * DAY_MS, budget: BUDGET, mirrors: ["debian", "fedora"] });
    for (const key of ["debian/a", "fedora/a"]) {
      await store.put(key, old, new Uint8Array(5));
      const record = { ...old, key, sliceBytes: null, class: "package" };
      await ledgers.port(key.slice(0, 6)).record({ news: [{ kind: "stored", key, record }], uses: [] });
    }
    store.beforeDelete = (key) => {
      if (key.startsWith("debian/")) throw new Error("the disk does not delete this");
    };
    await expect(ledgers.book.sweep()).rejects.toThrow("does not delete");
    // The status must not say that cron came to its end.
    expect(ledgers.book.view().sweptAt).toBeNull();
    expect([...store.heads.keys()]).toEqual(["debian/a"]);
    expect(ledgers.book.view().used).toBe(5);
    store.beforeDelete = () => {};
    await ledgers.book.sweep();
    expect(ledgers.book.view().sweptAt).toBe(91 * DAY_MS);
  });

  it("keeps what a live generation names past its age while clients use it", async () => {
    const world = createWorld();
    await fill(world, "a", 8);
    await fill(world, "b", 8);
    await world.retention.flush();
    world.ledgers.ledger("fedora").name("fedora/repo", [
      ["fedora/a", null],
      ["fedora/b", null],
    ]);
    world.pass(89 * DAY_MS);
    world.retention.use("fedora/a", 8);
    await world.retention.flush();
    world.pass(2 * DAY_MS);
    await world.ledgers.book.sweep();
    expect([...world.store.heads.keys()]).toEqual(["fedora/a"]);
  });

  it("takes in objects that the ledger does not know, and lets go of rows whose object is gone", async () => {
    const world = createWorld();
    await fill(world, "gone", 8);
    await world.retention.flush();
    world.store.heads.delete("fedora/gone");
    const object = { version: newVersion(), size: 5, contentType: "x", upstream: "u", storedAt: world.now(), verified: "none" } as const;
    await world.store.put("fedora/unknown", object, new Uint8Array(5));
    world.pass(HOUR_MS);
    for (let runs = 0; runs < 2; runs++) await world.ledgers.book.sweep();
    expect(world.ledgers.ledger("fedora").get("fedora/unknown")?.size).toBe(5);
    expect(world.ledgers.ledger("fedora").get("fedora/gone")).toBeNull();
    expect(world.ledgers.book.view().used).toBe(5);
  });

  it("deletes slices without a head, of fills that ended too early, after a day", async () => {
    const world = createWorld();
    await fill(world, "whole", 24);
    await world.store.putSlice(newVersion(), 0, new Uint8Array(8));
    const days = async (count: number) => {
      for (let hours = 0; hours < 24 * count; hours++) {
        world.pass(HOUR_MS);
        await world.retention.flush();
        await world.ledgers.book.sweep();
      }
    };
    await days(1);
    expect(world.store.slices.size).toBe(4);
    await days(2);
    expect(world.store.slices.size).toBe(3);
  });

  it("keeps the slices of an object that no ledger knows", async () => {
    const world = createWorld();
    await fill(world, "unreported", 24);
    world.ledgers.restart();
    // The isolate died before it reported.
    for (let hours = 0; hours < 72; hours++) {
      world.pass(HOUR_MS);
      await world.ledgers.book.sweep();
    }
    expect(world.store.slices.size).toBe(3);
    expect(world.ledgers.ledger("fedora").get("fedora/unreported")?.size).toBe(24);
  });
});

describe("a kill in the middle of an eviction", () => {
  it("leaves nothing unreachable and nothing half deleted that can be read", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(30), async (survives) => {
        const world = createWorld();
        for (let index = 0; index < 4; index++) await fill(world, `p${index}`, 20);
        for (let index = 4; index < 10; index++) await fill(world, `p${index}`, 5);
        await world.retention.flush();
        world.pass(90 * DAY_MS);
        let left = survives;
        world.store.beforeDelete = () => {
          if (left-- === 0) throw new Error("killed");
        };
        await world.ledgers.book.sweep().catch(() => {});
        world.store.beforeDelete = () => {};
        world.ledgers.restart();
        // Whatever can still be asked for has all its bytes.
        for (const object of world.store.heads.values()) {
          const slices = [...world.store.slices.keys()].filter((key) => key.includes(object.version));
          if (object.sliceBytes !== undefined) expect(slices).toHaveLength(Math.ceil(object.size / SLICE));
        }
        expect(world.ledgers.book.view().used).toBeGreaterThanOrEqual(world.store.bytes());
        for (let runs = 0; runs < 3; runs++) {
          await world.ledgers.book.sweep();
          world.pass(2 * DAY_MS);
        }
        expect(world.store.bytes()).toBe(0);
        expect(world.store.slices.size + world.store.heads.size).toBe(0);
        expect(world.ledgers.book.view().used).toBe(0);
      }),
    );
  });
});
