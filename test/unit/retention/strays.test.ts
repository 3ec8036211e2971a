import { describe, expect, it } from "vitest";
import { newVersion } from "../../../src/store/keys.ts";
import { createLedgers, DAY_MS } from "../../support/ledgers.ts";
import { createMemoryStore } from "../../support/memory-store.ts";

/** At the edge cron runs each hour; fewer runs show the same. */
const RUNS_A_DAY = 6;
const HEX = "a".repeat(64);

/** A mirror at the edge, where no rule of the bucket deletes anything. */
function createWorld(budget = 1_000) {
  let now = Date.UTC(2026, 0, 1);
  const store = createMemoryStore(() => now);
  const ledgers = createLedgers({ store, now: () => now, budget });
  const world = {
    store,
    ledgers,
    now: () => now,
    /** Cron, for so many days. */
    async live(days: number): Promise<void> {
      for (let runs = 0; runs < days * RUNS_A_DAY; runs++) {
        now += DAY_MS / RUNS_A_DAY;
        await ledgers.book.sweep();
      }
    },
    /** An isolate stored this and ended before it reported it. */
    async stray(key: string, slices = 0): Promise<string> {
      const version = newVersion();
      for (let index = 0; index < slices; index++) await store.putSlice(version, index, new Uint8Array(8));
      const object = { version, size: Math.max(slices, 1) * 8, contentType: "x", upstream: "u", storedAt: now, verified: "none" } as const;
      await store.put(key, { ...object, ...(slices === 0 ? {} : { sliceBytes: 8 }) }, new Uint8Array(slices === 0 ? 8 : 0));
      return version;
    },
    /** The upstream's 304, on which the head is written anew and its slices are not; reported as a fill reports. */
    async renew(key: string): Promise<void> {
      const head = await store.head(key);
      if (head === null) throw new Error(`There is no ${key}`);
      await store.put(key, { ...head, storedAt: now }, new Uint8Array(0));
      const { version, size, sliceBytes = null } = head;
      ledgers.ledger("fedora").put({ key, version, size, sliceBytes, class: "package", storedAt: now }, 0, now);
    },
  };
  return world;
}

describe("what no ledger has a row of", () => {
  it("is found within a day: an object, a large one with its slices, a page of a digest table, metadata by its digest", async () => {
    const world = createWorld();
    await world.stray("fedora/a.rpm");
    await world.stray("fedora/large.iso", 3);
    await world.stray(`-/table/${HEX}`);
    await world.stray(`-/sha256/${HEX}`);
    await world.live(1);
    for (const key of ["fedora/a.rpm", "fedora/large.iso"]) expect(world.ledgers.ledger("fedora").get(key)).not.toBeNull();
    for (const key of [`-/table/${HEX}`, `-/sha256/${HEX}`]) expect(world.ledgers.ledger("-").get(key)).not.toBeNull();
    expect(world.ledgers.book.view().used).toBe(8 + 24 + 8 + 8);
  });

  it("goes after RETENTION_DAYS, slices too, where nothing names it and no client asks for it", async () => {
    const world = createWorld();
    await world.stray("fedora/large.iso", 3);
    await world.stray(`-/table/${HEX}`);
    await world.live(89);
    expect([world.store.heads.size, world.store.slices.size]).toEqual([2, 3]);
    await world.live(3);
    expect([world.store.heads.size, world.store.slices.size]).toEqual([0, 0]);
    expect(world.ledgers.book.view().used).toBe(0);
  });

  it("goes within days where it is slices alone, of a fill that was cut off", async () => {
    const world = createWorld();
    for (let index = 0; index < 3; index++) await world.store.putSlice(newVersion(), index, new Uint8Array(8));
    await world.live(3);
    expect(world.store.slices.size).toBe(0);
  });
});

describe("a store of many pages", () => {
  const paths = Array.from({ length: 2_300 }, (_, at) => `pool/${at % 7}/${at}.deb`);

  it("has a row for each object after one pass, also after its ledger was lost, and loses none that is there", async () => {
    const world = createWorld(1_000_000);
    for (const path of paths) await world.stray(`fedora/${path}`);
    await world.live(2);
    expect(world.ledgers.ledger("fedora").totals()).toMatchObject({ objects: 2_300, live: 2_300 * 8 });
    await world.live(2);
    expect(world.ledgers.ledger("fedora").totals()).toMatchObject({ objects: 2_300 });
  });

  it("has no row left after a pass, once its files were deleted by hand but for the first, one in the middle and the last", async () => {
    const world = createWorld(1_000_000);
    for (const path of paths) await world.stray(`fedora/${path}`);
    await world.live(2);
    const sorted = paths.map((path) => `fedora/${path}`).toSorted();
    const kept = [sorted[0], sorted[1_400], sorted.at(-1)];
    for (const key of sorted) if (!kept.includes(key)) world.store.heads.delete(key);
    await world.live(3);
    expect(
      world.ledgers
        .ledger("fedora")
        .page("fedora/", "", 10_000)
        .map(({ key }) => key),
    ).toEqual(kept);
  });
});

describe("what is older than RETENTION_DAYS", () => {
  it("stays in all its slices where an upstream has confirmed it since", async () => {
    const world = createWorld();
    await world.stray("fedora/large.iso", 3);
    for (let renewals = 0; renewals < 3; renewals++) {
      await world.live(60);
      await world.renew("fedora/large.iso");
    }
    await world.live(60);
    expect(Math.min(...[...world.store.slices.values()].map(({ uploadedAt }) => uploadedAt))).toBeLessThan(world.now() - 239 * DAY_MS);
    expect([world.store.heads.size, world.store.slices.size]).toEqual([1, 3]);
  });
});
