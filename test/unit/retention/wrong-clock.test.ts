import { describe, expect, it } from "vitest";
import { newVersion } from "../../../src/store/keys.ts";
import type { StoredObject } from "../../../src/store/stored-object.ts";
import { createLedgers, DAY_MS } from "../../support/ledgers.ts";
import { createMemoryStore } from "../../support/memory-store.ts";

const YEAR_MS = 365 * DAY_MS;
const KEY = "fedora/a.rpm";

/** A mirror whose clock may be set; objects have one slice of 8 bytes where they are sliced. */
function createWorld() {
  const world = { now: 1_800_000_000_000 };
  const store = createMemoryStore(() => world.now);
  const ledgers = createLedgers({ store, now: () => world.now, budget: 1_000_000 });
  const ledger = () => ledgers.ledger("fedora");
  return Object.assign(world, {
    store,
    ledgers,
    ledger,
    async put(key: string, isSliced = false): Promise<StoredObject> {
      const version = newVersion();
      const described = { contentType: "x/y", upstream: "http://one.test", verified: "structure", storedAt: world.now } as const;
      const object: StoredObject = { ...described, version, size: 8, ...(isSliced ? { sliceBytes: 8 } : {}) };
      await store.put(key, object, new Uint8Array(isSliced ? 0 : 8));
      if (isSliced) await store.putSlice(version, 0, new Uint8Array(8));
      ledger().put({ key, version, size: 8, sliceBytes: isSliced ? 8 : null, class: "package", storedAt: world.now }, 0, world.now);
      return object;
    },
    use: (key: string) => ledger().apply({ news: [], uses: [{ key, uses: 1, served: 8, lastUsedAt: world.now }] }, 0, world.now),
    sweep: async () => void (await ledgers.book.sweep()),
  });
}

describe("what was written while the clock was years ahead", () => {
  it("ages from the moment on at which the clock is right", async () => {
    const world = createWorld();
    world.now += YEAR_MS;
    await world.put(KEY);
    world.now -= YEAR_MS;
    await world.sweep();
    expect(world.ledger().get(KEY)?.storedAt).toBe(world.now);
    world.now += 89 * DAY_MS;
    await world.sweep();
    expect(world.store.heads.has(KEY)).toBe(true);
    world.now += 2 * DAY_MS;
    await world.sweep();
    expect(world.store.heads.has(KEY)).toBe(false);
  });

  it("is no use that keeps a live file for ever, and the next use counts", async () => {
    const world = createWorld();
    await world.put(KEY);
    await world.put("fedora/b.rpm");
    world.ledger().name("m/repo", [
      [KEY, null],
      ["fedora/b.rpm", null],
    ]);
    world.now += YEAR_MS;
    for (const key of [KEY, "fedora/b.rpm"]) world.use(key);
    world.now -= YEAR_MS;
    world.now += 91 * DAY_MS;
    world.use("fedora/b.rpm");
    expect(world.ledger().get("fedora/b.rpm")?.lastUsedAt).toBe(world.now);
    await world.sweep();
    expect([world.store.heads.has(KEY), world.store.heads.has("fedora/b.rpm")]).toEqual([false, true]);
  });

  it("is a row of no object, where that is gone", async () => {
    const world = createWorld();
    world.now += YEAR_MS;
    await world.put(KEY);
    await world.store.delete([KEY]);
    world.now -= YEAR_MS;
    for (let day = 0; day < 3; day++) {
      await world.sweep();
      world.now += DAY_MS + 1;
    }
    await world.sweep();
    expect(world.ledger().get(KEY)).toBeNull();
  });

  it("is a dead version whose slices go a day later, and a slice without a head that goes as well", async () => {
    const world = createWorld();
    world.now += YEAR_MS;
    await world.put(KEY, true);
    await world.put(KEY, true);
    await world.store.putSlice(newVersion(), 0, new Uint8Array(8));
    world.now -= YEAR_MS;
    expect(world.store.slices.size).toBe(3);
    for (let day = 0; day < 4; day++) {
      for (let runs = 0; runs < 3; runs++) await world.sweep();
      world.now += DAY_MS + 1;
    }
    expect(world.store.slices.size).toBe(1);
    expect(world.ledger().totals().dead).toBe(0);
  });
});
