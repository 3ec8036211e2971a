import { describe, expect, it } from "vitest";
import type { Known } from "../../../src/store/disk-memory.ts";
import { createHotBodies } from "../../../src/store/hot-bodies.ts";

const BODY_BYTES = 100;

/** Room for ten bodies, and one use of an object as the disk's store makes it. Returns whether the body came from memory. */
function createCache(maxBytes = 10 * BODY_BYTES) {
  const hot = createHotBodies(maxBytes, () => 0);
  const entries = new Map<string, Known>();
  const isCurrent = (name: string, entry: Known): boolean => entries.get(name) === entry;
  let loads = 0;
  const use = async (name: string, size = BODY_BYTES): Promise<boolean> => {
    const entry = entries.get(name) ?? { key: name, object: null };
    entries.set(name, entry);
    if (hot.use(name, entry) !== null) return true;
    if (!hot.isWanted(entry, size, isCurrent)) return false;
    loads++;
    await hot.load(name, entry, { size, modifiedAt: 0 }, async () => new Uint8Array(size));
    return false;
  };
  return { hot, use, loads: () => loads, forget: (name: string) => entries.delete(name) };
}

/** Numbers from 0 up to, but not including, 1, by a linear congruential generator: the same ones each time. */
function createRandom(): () => number {
  let state = 1;
  return () => (state = (state * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31;
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

describe("bodies in memory", () => {
  it("come in with the second use", async () => {
    const { use } = createCache();
    expect([await use("a"), await use("a"), await use("a")]).toEqual([false, false, true]);
  });

  it("take no more bytes than they may", async () => {
    const { hot, use } = createCache();
    for (let round = 0; round < 4; round++) for (let at = 0; at < 50; at++) await use(`${at}`, 30 + at);
    expect(hot.figures().bytes).toBeGreaterThan(0);
    expect(hot.figures().bytes).toBeLessThanOrEqual(10 * BODY_BYTES);
  });

  it("are none without room, and none of a body that is longer than the room", async () => {
    const { hot, use } = createCache(0);
    for (let times = 0; times < 3; times++) expect(await use("a")).toBe(false);
    expect(hot.figures()).toEqual({ bodies: 0, bytes: 0, maxBytes: 0, hits: 0 });
    const small = createCache(BODY_BYTES - 1);
    for (let times = 0; times < 3; times++) expect(await small.use("a")).toBe(false);
  });

  it("stay where a client reads the whole mirror once, and where it reads all of it twice", async () => {
    const { use } = createCache();
    const hotNames = Array.from({ length: 10 }, (_, at) => `hot ${at}`);
    for (let round = 0; round < 8; round++) for (const name of hotNames) await use(name);
    for (let pass = 0; pass < 2; pass++) for (let at = 0; at < 15; at++) await use(`passed ${at}`);
    const found = await Promise.all(hotNames.map((name) => use(name)));
    expect(found.filter(Boolean).length).toBe(10);
  });

  it("give way in the end to what is used now", async () => {
    const { use } = createCache();
    for (let round = 0; round < 20; round++) for (let at = 0; at < 10; at++) await use(`old ${at}`);
    for (let round = 0; round < 40; round++) for (let at = 0; at < 10; at++) await use(`new ${at}`);
    const found = await Promise.all(Array.from({ length: 10 }, (_, at) => use(`new ${at}`)));
    expect(found.filter(Boolean).length).toBe(10);
  });

  it("cost no reads in vain where clients use more files than there is room for, all alike", async () => {
    const { hot, use, loads } = createCache();
    for (let round = 0; round < 100; round++) for (let at = 0; at < 100; at++) await use(`${at}`);
    expect(hot.figures().bodies).toBe(10);
    expect(loads()).toBeLessThan(20);
  });

  it.each([
    ["all alike", 0],
    ["the n-th as often as 1/n", 1],
  ])("hold nearly the best that fit, and change places seldom, where clients use ten times as many files, %s", async (_what, exponent) => {
    const [files, room, times] = [500, 50, 40_000];
    const { use, loads } = createCache(room * BODY_BYTES);
    const next = createRandom();
    const shares = Array.from({ length: files }, (_, at) => 1 / (at + 1) ** exponent);
    const all = sum(shares);
    let hits = 0;
    for (let time = 0; time < times; time++) {
      let point = next() * all;
      const file = shares.findIndex((share) => (point -= share) <= 0);
      if ((await use(`${file}`)) && time >= times / 2) hits++;
    }
    expect(hits / (times / 2)).toBeGreaterThan((0.95 * sum(shares.slice(0, room))) / all);
    expect(loads() / (times - 2 * hits)).toBeLessThan(0.05);
  });

  it("are those that clients use most, of more than there is room for", async () => {
    const { use } = createCache();
    for (let round = 1; round <= 200; round++) for (let at = 1; at <= 50; at++) if (round % at === 0) await use(`${at}`);
    const found = await Promise.all(["1", "2", "3"].map((name) => use(name)));
    expect(found).toEqual([true, true, true]);
  });

  it("go for others at once where their objects are gone", async () => {
    const { hot, use, forget } = createCache();
    for (let round = 0; round < 20; round++) for (let at = 0; at < 10; at++) await use(`old ${at}`);
    for (let at = 0; at < 10; at++) forget(`old ${at}`);
    for (let round = 0; round < 3; round++) for (let at = 0; at < 10; at++) expect(await use(`new ${at}`)).toBe(round === 2);
    expect(hot.figures()).toMatchObject({ bodies: 10, bytes: 10 * BODY_BYTES });
  });

  it("belong to the entry that memory held when they were read", async () => {
    const hot = createHotBodies(1_000, () => 0);
    const [before, after]: readonly Known[] = [
      { key: "a", object: null },
      { key: "a", object: null },
    ];
    if (before === undefined || after === undefined) throw new Error("no entries");
    await hot.load("a", before, { size: 1, modifiedAt: 0 }, async () => new Uint8Array(1));
    expect(hot.use("a", before)).not.toBeNull();
    expect(hot.use("a", after)).toBeNull();
  });

  it("that cannot be read are not held, and may be read again", async () => {
    const { hot, use } = createCache();
    const entry: Known = { key: "a", object: null };
    hot.use("a", entry);
    hot.use("a", entry);
    await expect(
      hot.load("a", entry, { size: BODY_BYTES, modifiedAt: 0 }, () => Promise.reject(new Error("the disk failed"))),
    ).rejects.toThrow("the disk failed");
    expect(hot.isWanted(entry, BODY_BYTES, () => true)).toBe(true);
    expect(await use("b")).toBe(false);
  });
});
