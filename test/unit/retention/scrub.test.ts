import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { createLedger } from "../../../src/retention/ledger.ts";
import { createScrub } from "../../../src/retention/scrub.ts";
import { newVersion, sliceKey } from "../../../src/store/keys.ts";
import type { ObjectStore } from "../../../src/store/object-store.ts";
import { createByteStore } from "../../support/byte-store.ts";
import { makeNoise } from "../../support/fixture.ts";
import { createMemorySql } from "../../support/memory-sql.ts";
import { createNodeDigest } from "../../support/verifying.ts";

const MIB = 1024 * 1024;
const DAY_MS = 86_400_000;
const START = 1_700_000_000_000;
const SHARDS = ["-", "debian", "fedora"];

/** A store and its ledger, with a clock that only waiting moves. */
function createWorld({ bytesPerSecond = 16 * MIB } = {}) {
  let now = START;
  const store = createByteStore(() => now);
  const notes = createLedger(createMemorySql()).notes;
  const condemned: string[] = [];
  const log: string[] = [];
  let reads = 0;
  const counted: Pick<ObjectStore, "head" | "get" | "getSlice"> = {
    head: store.head,
    get: (key, wanted) => (reads++, store.get(key, wanted)),
    getSlice: (...slice) => (reads++, store.getSlice(...slice)),
  };
  let failing: string | null = null;
  const start = () =>
    createScrub({
      notes,
      store: {
        ...counted,
        head: (key) => (key === failing ? Promise.reject(new Error("the disk is away")) : counted.head(key)),
      },
      shardNames: SHARDS,
      async rows(shard, after, limit) {
        const keys = [...store.objects.keys()].toSorted((a, b) => (a < b ? -1 : 1));
        return keys.flatMap((key) => (key.startsWith(`${shard}/`) && key > after ? [{ key }] : [])).slice(0, limit);
      },
      createDigest: createNodeDigest,
      bytesPerSecond,
      now: () => now,
      condemn: async (key) => {
        condemned.push(key);
        await store.delete([key]);
      },
      log: (message) => log.push(message),
    });
  let scrub = start();
  return {
    store,
    condemned,
    log,
    reads: () => reads,
    get scrub() {
      return scrub;
    },
    restart: () => void (scrub = start()),
    pass: (ms: number) => void (now += ms),
    failAt: (key: string | null) => void (failing = key),
    /** Turns to the end of the pass, with the waits between them; how long it took, in ms. */
    async finish(): Promise<number> {
      const began = now;
      for (let wait = await scrub.turn(); wait !== null; wait = await scrub.turn()) now += wait;
      return now - began;
    },
    async put(key: string, noise: Uint8Array, { isRecorded = true, sliceBytes }: { isRecorded?: boolean; sliceBytes?: number } = {}) {
      // The store copies a Uint8Array, but not a Buffer.
      const bytes = new Uint8Array(noise);
      const sha256 = createHash("sha256").update(bytes).digest("hex");
      const object = {
        version: newVersion(),
        size: bytes.length,
        contentType: "x/y",
        upstream: "http://one.test",
        storedAt: now,
        verified: "length",
        ...(isRecorded ? { sha256 } : {}),
        ...(sliceBytes === undefined ? {} : { sliceBytes }),
      } as const;
      for (let index = 0; sliceBytes !== undefined && index * sliceBytes < bytes.length; index++)
        await store.putSlice(object.version, index, bytes.subarray(index * sliceBytes, (index + 1) * sliceBytes));
      await store.put(key, object, sliceBytes === undefined ? bytes : new Uint8Array(0));
      return object;
    },
  };
}

type World = ReturnType<typeof createWorld>;

function rot({ store }: World, key: string): void {
  const bytes = store.objects.get(key)?.bytes ?? store.slices.get(key)?.bytes;
  if (bytes === undefined || bytes.length === 0) throw new Error(`There are no bytes of ${key}`);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
}

describe("a scrub", () => {
  test("compares all that has a digest, in every ledger, deletes what changed, and says so", async () => {
    const world = createWorld();
    const named = makeNoise("scrubbed by its name", 5_000);
    const key = `-/sha256/${createHash("sha256").update(named).digest("hex")}`;
    await world.put(key, named, { isRecorded: false });
    await world.put("debian/a.deb", makeNoise("scrub a", 9_000));
    await world.put("debian/b.deb", makeNoise("scrub b", 9_000));
    await world.put("debian/empty", new Uint8Array(0));
    await world.put("debian/unknown.deb", makeNoise("scrub unknown", 9_000), { isRecorded: false });
    const large = await world.put("fedora/large.iso", makeNoise("scrub large", 3 * MIB + 5), { sliceBytes: MIB });
    await world.put("fedora/well.iso", makeNoise("scrub well", 2 * MIB), { sliceBytes: MIB });
    const short = await world.put("fedora/short.iso", makeNoise("scrub short", 2 * MIB), { sliceBytes: MIB });
    await world.store.delete([sliceKey(short.version, 1)]);
    for (const rotten of [key, "debian/b.deb", sliceKey(large.version, 3)]) rot(world, rotten);
    expect(world.scrub.begin(false)).toBe(true);
    await world.finish();
    expect(world.condemned).toEqual([key, "debian/b.deb", "fedora/large.iso"]);
    expect(world.scrub.view()).toMatchObject({ objects: 5, bytes: 5_000 + 18_000 + 5 * MIB + 5, unknown: 2, rotten: 3 });
    expect(world.scrub.view()?.last.map((one) => one.key)).toEqual(["fedora/large.iso", "debian/b.deb", key]);
    expect(world.log).toHaveLength(1);
    expect(world.log[0]).toMatch(/^Scrub: compared 5 stored files of \d+ bytes .* 3 had changed and are deleted; 2 could not be compared$/);
  });

  test("keeps to its rate", async () => {
    const world = createWorld({ bytesPerSecond: MIB });
    for (let n = 0; n < 8; n++) await world.put(`debian/${n}.iso`, makeNoise(`scrub rate ${n}`, 4 * MIB), { sliceBytes: MIB });
    world.scrub.begin(false);
    const tookMs = await world.finish();
    expect(tookMs).toBeGreaterThan(27_000);
    expect(tookMs).toBeLessThan(40_000);
    expect(world.scrub.view()?.objects).toBe(8);
  });

  test("is slow where its rate is, and ends all the same", async () => {
    const world = createWorld({ bytesPerSecond: 1024 });
    await world.put("debian/x.deb", makeNoise("scrub slow", 100_000));
    world.scrub.begin(false);
    expect(await world.finish()).toBeGreaterThan(90_000);
    expect(world.scrub.view()).toMatchObject({ objects: 1, unknown: 0 });
  });

  test("goes on after a restart, and leaves out a file over which the process ends again and again", async () => {
    const world = createWorld({ bytesPerSecond: MIB });
    await world.put("debian/a.deb", makeNoise("scrub before", 1_000));
    await world.put("debian/large.iso", makeNoise("scrub restarts", 8 * MIB), { sliceBytes: MIB });
    await world.put("debian/z.deb", makeNoise("scrub behind", 1_000));
    world.scrub.begin(false);
    for (let restarts = 0; restarts < 3; restarts++) {
      await world.scrub.turn();
      world.restart();
    }
    await world.finish();
    expect(world.scrub.view()).toMatchObject({ objects: 2, unknown: 1 });
    // The next pass takes it.
    expect(world.scrub.begin(true)).toBe(true);
    await world.finish();
    expect(world.scrub.view()).toMatchObject({ objects: 3, unknown: 0 });
  });

  test("begins once a day, or when it is asked for, and remembers what it found", async () => {
    const world = createWorld();
    await world.put("debian/a.deb", makeNoise("scrub daily", 1_000));
    rot(world, "debian/a.deb");
    expect(await world.scrub.turn()).toBeNull();
    world.scrub.begin(false);
    // It is under way: nothing else begins.
    expect(world.scrub.begin(true)).toBe(true);
    await world.finish();
    expect(world.scrub.begin(false)).toBe(false);
    expect(world.scrub.begin(true)).toBe(true);
    await world.finish();
    world.pass(DAY_MS);
    expect(world.scrub.begin(false)).toBe(true);
    await world.finish();
    expect(world.scrub.view()).toMatchObject({ began: expect.any(Number) as number, rotten: 0, last: [{ key: "debian/a.deb" }] });
  });

  test("waits for a store that does not answer, and deletes nothing", async () => {
    const world = createWorld();
    for (const name of ["a", "b"]) await world.put(`debian/${name}.deb`, makeNoise(`scrub away ${name}`, 1_000));
    world.failAt("debian/b.deb");
    world.scrub.begin(false);
    await expect(world.scrub.turn()).rejects.toThrow("the disk is away");
    expect(world.scrub.view()).toMatchObject({ objects: 1, ended: null });
    world.failAt(null);
    await world.finish();
    expect(world.condemned).toEqual([]);
    expect(world.log).toHaveLength(1);
  });

  test("that is off reads nothing", async () => {
    const world = createWorld({ bytesPerSecond: 0 });
    await world.put("debian/a.deb", makeNoise("scrub off", 1_000));
    expect(world.scrub.begin(true)).toBe(false);
    expect(await world.scrub.turn()).toBeNull();
    expect([world.scrub.view(), world.reads()]).toEqual([null, 0]);
  });
});
