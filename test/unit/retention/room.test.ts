import { describe, expect, it } from "vitest";
import { createRetention } from "../../../src/retention/retention.ts";
import { newVersion } from "../../../src/store/keys.ts";
import { createLedgers } from "../../support/ledgers.ts";
import { createMemoryStore } from "../../support/memory-store.ts";

const SLICE = 8;
const BUDGET = 200;
const START = 1_000_000_000;

function createWorld({ quotas = new Map<string, number>() } = {}) {
  let now = START;
  const store = createMemoryStore(() => now);
  const ledgers = createLedgers({ store, now: () => now, budget: BUDGET, mirrors: ["fedora", "debian"], quotas });
  const calls: string[] = [];
  const createIsolate = () =>
    createRetention({
      ledger: (name) => ({
        record: (batch) => ledgers.port(name).record(batch),
        reserve: (...given) => (calls.push("reserve"), ledgers.port(name).reserve(...given)),
      }),
      budget: BUDGET,
      quotas,
      classOf: () => "package",
      now: () => now,
      sleep: () => new Promise(() => {}),
      waitUntil: () => {},
      log: () => {},
    });
  let retention = createIsolate();
  return {
    store,
    ledgers,
    calls,
    get retention() {
      return retention;
    },
    pass: (ms: number) => void (now += ms),
    now: () => now,
    /** What kill -9 and another start leave: what was not reported is lost. `found`: bytes in the store, as the start counts them. */
    restart(found: number): void {
      retention = createIsolate();
      ledgers.restart({ startedAt: now, bytes: found });
    },
    /** What a fill does with the store. Whether it was stored. */
    async fill(key: string, size: number, aheadFor?: string): Promise<boolean> {
      const isAdmitted = await retention.admit(key, size, aheadFor);
      if (isAdmitted) await this.store_(key, size);
      return isAdmitted;
    },
    async store_(key: string, size: number, version = newVersion()): Promise<void> {
      const watched = retention.watch(store);
      const object = { version, size, contentType: "x", upstream: "u", storedAt: now, verified: "none" } as const;
      if (size <= SLICE) return void (await watched.put(key, object, new Uint8Array(size)));
      for (let index = 0; index * SLICE < size; index++) {
        await watched.putSlice(version, index, new Uint8Array(Math.min(SLICE, size - index * SLICE)));
        if (index === 0) await watched.put(key, { ...object, sliceBytes: SLICE }, new Uint8Array(0));
      }
    },
  };
}

/** The operator's verb, as the ledger's Durable Object does it. */
async function purge({ ledgers }: ReturnType<typeof createWorld>, pattern: string): Promise<void> {
  await ledgers.shard("fedora").purge(pattern, "", 100, false);
  ledgers.book.report("fedora", ledgers.ledger("fedora").totals(), []);
}

/** Cron after a start: runs until nothing is left to find. */
async function catchUp({ ledgers }: ReturnType<typeof createWorld>): Promise<number> {
  for (let runs = 1; runs < 100; runs++) {
    await ledgers.book.sweep();
    if (ledgers.book.isCaughtUp()) return runs;
  }
  throw new Error("The ledgers do not catch up");
}

describe("freed slices", () => {
  it("make room for a new file at once: after a purge, and after an eviction", async () => {
    const world = createWorld();
    expect(await world.fill("fedora/a", 96)).toBe(true);
    expect(await world.fill("fedora/b", 92)).toBe(true);
    await world.retention.flush();
    await purge(world, "*");
    expect(await world.fill("fedora/c", 96)).toBe(true);
    expect(await world.fill("fedora/d", 92)).toBe(true);
    // What is evicted for it lies in slices too.
    expect(await world.fill("fedora/e", 96)).toBe(true);
    expect(world.store.bytes()).toBeLessThanOrEqual(BUDGET);
  });

  it("stay for those who read them where there is room, and go in the order in which they were freed", async () => {
    const world = createWorld();
    for (const name of ["a", "b", "c"]) await world.fill(`fedora/${name}`, 48);
    await world.retention.flush();
    for (const name of ["a", "b", "c"]) {
      await purge(world, `fedora/${name}`);
      world.pass(1_000);
    }
    world.retention.use("fedora/a", 1);
    await world.retention.flush();
    expect(await world.fill("fedora/d", 48)).toBe(true);
    expect(world.ledgers.ledger("fedora").totals().dead).toBe(144);
    expect(await world.fill("fedora/e", 48)).toBe(true);
    expect(world.ledgers.ledger("fedora").totals().dead).toBe(96);
  });
});

describe("a start after a kill", () => {
  it("finds objects that no ledger knows, and evicts down to the budget", async () => {
    const world = createWorld();
    for (let kills = 0; kills < 4; kills++) {
      // The isolate dies before it reports what it stored.
      for (let index = 0; index < 10; index++) await world.store_(`fedora/${kills}-${index}`, index % 2 === 0 ? SLICE : 2 * SLICE);
      world.pass(1_000);
      world.restart(world.store.bytes());
    }
    expect(world.store.bytes()).toBe(480);
    await catchUp(world);
    await world.ledgers.book.sweep();
    expect(world.store.bytes()).toBeLessThanOrEqual(BUDGET);
    expect(world.ledgers.book.view().used).toBe(world.store.bytes());
  });

  it("counts all that lies in the store until it is found", async () => {
    const world = createWorld();
    for (let index = 0; index < 24; index++) await world.store_(`fedora/${index}`, SLICE);
    world.pass(1_000);
    world.restart(world.store.bytes());
    expect(await world.fill("debian/new", 16)).toBe(false);
    await catchUp(world);
    expect(await world.fill("debian/new", 16)).toBe(true);
    expect(world.store.bytes()).toBeLessThanOrEqual(BUDGET);
  });

  it("deletes slices of which no head was stored, and those freed before; keeps those of objects, and of fills since", async () => {
    const world = createWorld();
    await world.fill("fedora/kept", 24);
    await world.fill("fedora/freed", 24);
    await world.retention.flush();
    await purge(world, "fedora/freed");
    for (let index = 0; index < 3; index++) await world.store.putSlice(newVersion(), index, new Uint8Array(SLICE));
    world.pass(5_000);
    world.restart(world.store.bytes());
    await world.store.putSlice(newVersion(), 0, new Uint8Array(SLICE));
    expect(world.store.slices.size).toBe(10);
    await catchUp(world);
    expect(world.store.slices.size).toBe(4);
    expect(world.store.heads.has("fedora/kept")).toBe(true);
  });

  it("ends what fills had reserved", async () => {
    const world = createWorld();
    expect(await world.ledgers.book.reserve("fedora/a", 96, 0)).toMatchObject({ admitted: true });
    expect(world.ledgers.book.view().reserved).toBe(96);
    world.pass(1);
    world.restart(0);
    expect(world.ledgers.book.view().reserved).toBe(0);
  });

  it("is over once, also where the book is opened again; and does not wait for a clock that was set back", async () => {
    const world = createWorld();
    for (let index = 0; index < 1_200; index++) await world.store_(`fedora/${index}`, 0);
    world.pass(1_000);
    world.restart(0);
    expect(world.ledgers.book.isCaughtUp()).toBe(false);
    expect(await catchUp(world)).toBeLessThan(8);
    world.ledgers.restart({ startedAt: world.now(), bytes: 1_000 });
    expect(world.ledgers.book.isCaughtUp()).toBe(true);
    expect(world.ledgers.book.view().used).toBe(0);
    world.restart(0);
    world.pass(-365 * 86_400_000);
    await catchUp(world);
  });
});

describe("a mirror's quota", () => {
  const quotas = new Map([["fedora", 60]]);

  it("is made room in by its own objects only, the least used first", async () => {
    const world = createWorld({ quotas });
    for (let index = 0; index < 10; index++) await world.fill(`debian/${index}`, SLICE);
    for (let index = 0; index < 20; index++) {
      expect(await world.fill(`fedora/${index}`, SLICE)).toBe(true);
      for (let uses = 0; uses < 3; uses++) world.retention.use("fedora/0", SLICE);
    }
    await world.retention.flush();
    expect(world.ledgers.ledger("debian").totals().objects).toBe(10);
    expect(world.ledgers.ledger("fedora").totals().live).toBeLessThanOrEqual(60);
    expect(world.store.heads.has("fedora/0")).toBe(true);
    expect(world.store.heads.has("fedora/19")).toBe(true);
  });

  it("counts freed slices and what fills have reserved, and takes no file that can never fit", async () => {
    const world = createWorld({ quotas });
    expect(await world.fill("fedora/large", 55)).toBe(false);
    expect(await world.fill("fedora/a", 24)).toBe(true);
    expect(await world.fill("fedora/b", 24)).toBe(true);
    expect(await world.fill("fedora/c", 24)).toBe(true);
    await world.retention.flush();
    const { live, dead } = world.ledgers.ledger("fedora").totals();
    expect(live + dead).toBeLessThanOrEqual(60);
    const before = await Promise.all(["x", "y", "z"].map((name) => world.retention.admit(`fedora/${name}`, 20)));
    expect(before.filter(Boolean).length).toBeLessThanOrEqual(3);
    expect(world.ledgers.book.view().used).toBeLessThanOrEqual(60);
  });

  it("that was lowered is enforced by the next run of cron", async () => {
    const world = createWorld({ quotas: new Map([["fedora", 30]]) });
    for (let index = 0; index < 12; index++) await world.store_(`fedora/${index}`, SLICE);
    await world.fill("debian/a", SLICE);
    await world.retention.flush();
    await world.ledgers.book.sweep();
    expect(world.ledgers.ledger("fedora").totals().live).toBeLessThanOrEqual(30);
    expect(world.store.heads.has("debian/a")).toBe(true);
  });

  it("spares what is pinned: then it passes new files on", async () => {
    const world = createWorld({ quotas });
    for (let index = 0; index < 7; index++) await world.fill(`fedora/${index}`, SLICE);
    await world.retention.flush();
    world.ledgers.ledger("fedora").pin("fedora/*");
    expect(await world.fill("fedora/new", SLICE)).toBe(false);
    expect(await world.fill("debian/new", SLICE)).toBe(true);
  });
});

describe("what is fetched ahead of clients", () => {
  it("evicts objects of its own mirror only, and takes nothing from the last room", async () => {
    const world = createWorld();
    for (let index = 0; index < 20; index++) await world.fill(`debian/${index}`, SLICE);
    for (let index = 0; index < 3; index++) await world.fill(`fedora/${index}`, SLICE);
    expect(await world.fill("-/sha256/a", 24, "fedora")).toBe(true);
    expect(await world.fill("-/sha256/b", 24, "fedora")).toBe(false);
    await world.retention.flush();
    expect(world.ledgers.ledger("debian").totals().objects).toBe(20);
    // A client's own miss may.
    expect(await world.fill("-/sha256/b", 24)).toBe(true);
  });

  it("takes a quarter of the budget for one mirror, also with what its generations name", async () => {
    const world = createWorld();
    const ahead = async (count: number, from: number, mirror: string) => {
      const admitted = [];
      for (let index = from; index < from + count; index++) admitted.push(await world.fill(`-/sha256/${index}`, SLICE, mirror));
      return admitted.filter(Boolean).length;
    };
    expect(await ahead(10, 0, "fedora")).toBe(6);
    await world.retention.flush();
    expect(await ahead(2, 20, "debian")).toBe(2);
    // Published: they stay for as long as the generation names them.
    world.ledgers.ledger("-").name("fedora/os", [
      ["-/sha256/0", null],
      ["-/sha256/1", null],
      ["-/sha256/2", null],
      ["-/sha256/3", null],
    ]);
    world.pass(2 * 86_400_000);
    expect(await ahead(10, 40, "fedora")).toBe(2);
  });
});
