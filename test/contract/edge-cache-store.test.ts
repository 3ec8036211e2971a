import { env } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { UNCACHED } from "../../src/store/body-cache.ts";
import { createCacheApi, type EdgeCache } from "../../src/store/cache-api.ts";
import { createCachedHeads } from "../../src/store/cached-heads.ts";
import { createEdgeCacheStore } from "../../src/store/edge-cache-store.ts";
import { newVersion } from "../../src/store/keys.ts";
import type { ObjectStore } from "../../src/store/object-store.ts";
import { createR2Store, type R2Store } from "../../src/store/r2-store.ts";
import { answerStoredBytes } from "../../src/store/stored-bytes.ts";
import { type CachedEntrypoint, createWorkersCache } from "../../src/store/workers-cache.ts";
import { createWorkersCacheRules } from "../support/workers-cache.ts";
import { bytesOf, describeObjectStore, describedAs, textOf } from "./object-store.ts";

const { BUCKET } = env as unknown as { readonly BUCKET: R2Bucket };
const TTL_MS = 60_000;
const DEFAULT_CACHE: EdgeCache = caches.default;
/** The Cache API of a Worker on workers.dev. */
const NOTHING: EdgeCache = { match: async () => undefined, put: async () => {}, delete: async () => false };

interface Rig {
  readonly store: ObjectStore;
  /** The medium, as another data centre writes to it. */
  readonly elsewhere: ObjectStore;
  /** Reads and looks that reached the medium since the last question. */
  reached(): string[];
  /** Until what was on its way into the cache is there. */
  settled(): Promise<void>;
  readonly clock: { now: number };
}

interface RigOptions {
  readonly cache?: EdgeCache;
  readonly ttlMs?: number;
  readonly maxSlices?: number;
  readonly namespace?: string;
  readonly medium?: R2Store;
  /** Workers Cache, as a data centre calls it; without it there is none. */
  readonly tiered?: CachedEntrypoint;
}

/** One data centre for each rig, by a namespace of its own; versions are unique anyway. */
function rig(options: RigOptions = {}): Rig {
  const {
    cache = DEFAULT_CACHE,
    ttlMs = TTL_MS,
    maxSlices = 100,
    namespace = newVersion(),
    medium = createR2Store(BUCKET),
    tiered,
  } = options;
  const calls: string[] = [];
  const counted: R2Store = {
    ...medium,
    get: (key, wanted) => (calls.push("get"), medium.get(key, wanted)),
    head: (key) => (calls.push("head"), medium.head(key)),
    getSlice: (version, index, offset, length) => (calls.push("slice"), medium.getSlice(version, index, offset, length)),
    openSlice: (version, index) => (calls.push("whole slice"), medium.openSlice(version, index)),
  };
  const clock = { now: 1_700_000_000_000 };
  const now = (): number => clock.now;
  const pending: Promise<unknown>[] = [];
  const waitUntil = (work: Promise<unknown>) => void pending.push(work);
  const base = () => `https://mirror.test/-/cached/${namespace}`;
  const next = tiered === undefined ? UNCACHED : createWorkersCache({ entrypoint: tiered, next: UNCACHED, now });
  return {
    store: createEdgeCacheStore(counted, {
      heads: createCachedHeads({ cache, base, namespace, ttlMs, now }),
      bodies: createCacheApi({ cache, base, next, maxSlices, waitUntil }),
      openSlice: counted.openSlice,
    }),
    elsewhere: medium,
    clock,
    reached: () => calls.splice(0),
    async settled() {
      while (pending.length > 0) await Promise.all(pending.splice(0));
    },
  };
}

/** Workers Cache over the bucket: each call is another data centre. */
function dataCentre(rules = worldOver(createR2Store(BUCKET))): CachedEntrypoint {
  return rules.dataCentre();
}

function worldOver(medium: R2Store) {
  return createWorkersCacheRules({ run: (request) => answerStoredBytes(request, medium), now: () => 1_700_000_000_000 });
}

const NAMESPACE = newVersion();
// Within one data centre it keeps every clause. Writes in others show after the TTL: see below.
describeObjectStore("the edge cache over R2", () => rig({ namespace: NAMESPACE }).store);
describeObjectStore("the edge cache whose heads are never fresh, over R2", () => rig({ ttlMs: 0, namespace: `${NAMESPACE}/0` }).store);
const TIERED = dataCentre();
describeObjectStore("the edge cache in front of Workers Cache, over R2", () => rig({ namespace: `${NAMESPACE}/1`, tiered: TIERED }).store);
describeObjectStore(
  "the edge cache that keeps nothing, in front of Workers Cache, over R2",
  () => rig({ cache: NOTHING, tiered: TIERED }).store,
);

function newKey(): string {
  return `fedora/${newVersion()}/x.rpm`;
}

async function sliceText(body: ReadableStream<Uint8Array> | null): Promise<string | null> {
  return body && new TextDecoder().decode(await new Response(body).arrayBuffer());
}

describe("the edge cache", () => {
  it("serves a small object that was read before without the store, whole and in part", async () => {
    const { store, reached, settled } = rig();
    const key = newKey();
    const object = describedAs(11);
    await store.put(key, object, bytesOf("hello world"));
    expect(await textOf(await store.get(key))).toBe("hello world");
    await settled();
    expect(reached()).toEqual(["get"]);
    expect(await store.get(key)).toMatchObject({ object });
    expect(await textOf(await store.get(key))).toBe("hello world");
    expect(await textOf(await store.get(key, { first: 6 }))).toBe("world");
    expect(await textOf(await store.get(key, { first: 6, last: 105 }))).toBe("world");
    expect(await textOf(await store.get(key, { suffix: 3 }))).toBe("rld");
    expect((await store.get(key, { first: 11 }))?.body).toBeNull();
    expect(reached()).toEqual([]);
  });

  it("serves a part of a sliced object by its head and slices, without asking the store for a part of the head", async () => {
    const { store, reached, settled } = rig();
    const key = newKey();
    const slice = new Uint8Array(100_000).fill(7);
    const object = describedAs(250_000, { sliceBytes: 100_000 });
    await store.put(key, object, new Uint8Array());
    await store.putSlice(object.version, 0, slice);
    await store.get(key);
    await sliceText(await store.getSlice(object.version, 0, 0, 100_000));
    await settled();
    expect(reached()).toEqual(["get", "slice"]);
    expect(await store.get(key, { first: 5, last: 9 })).toEqual({ object, body: null });
    expect(await sliceText(await store.getSlice(object.version, 0, 0, 100_000))).toHaveLength(100_000);
    expect(await sliceText(await store.getSlice(object.version, 0, 99_990, 10))).toHaveLength(10);
    expect(reached()).toEqual([]);
  });

  it("takes no part of a slice for the whole: another length is asked of the store", async () => {
    const { store, reached, settled } = rig();
    const version = newVersion();
    await store.putSlice(version, 0, new Uint8Array(200_000).fill(7));
    await sliceText(await store.getSlice(version, 0, 0, 100_000));
    await settled();
    expect(await sliceText(await store.getSlice(version, 0, 0, 200_000))).toHaveLength(200_000);
    expect(await store.getSlice(version, 0, 0, 200_001)).toBeNull();
    expect(reached()).toEqual(["slice", "slice", "slice"]);
  });

  it("caches neither slices beyond its number, nor small parts, nor what is not there", async () => {
    const { store, reached, settled } = rig({ maxSlices: 1 });
    const version = newVersion();
    const key = newKey();
    for (const index of [0, 1]) await store.putSlice(version, index, new Uint8Array(100_000));
    const read = async () => {
      await sliceText(await store.getSlice(version, 1, 0, 100_000));
      await sliceText(await store.getSlice(version, 0, 0, 100));
      expect(await store.get(key)).toBeNull();
      expect(await store.getSlice(version, 9, 0, 100)).toBeNull();
      await settled();
      return reached();
    };
    expect(await read()).toEqual(["slice", "slice", "get", "slice"]);
    expect(await read()).toEqual(["slice", "slice", "get", "slice"]);
  });

  it("shows another data centre's purge and replacement once the TTL is over", async () => {
    const { store, elsewhere, clock, settled } = rig();
    const [purged, replaced] = [newKey(), newKey()];
    const old = describedAs(3);
    for (const key of [purged, replaced]) {
      await elsewhere.put(key, old, bytesOf("old"));
      await textOf(await store.get(key));
    }
    await settled();
    await elsewhere.delete([purged]);
    await elsewhere.put(replaced, describedAs(3), bytesOf("new"));
    clock.now += TTL_MS - 1;
    expect(await textOf(await store.get(purged))).toBe("old");
    expect(await textOf(await store.get(replaced))).toBe("old");
    clock.now += 1;
    expect(await store.get(purged)).toBeNull();
    expect(await textOf(await store.get(replaced))).toBe("new");
  });

  it.each([
    { name: "was compared with the digest in its key", facts: { verified: "digest" }, reads: 0 },
    { name: "was not", facts: { verified: "length" }, reads: 1 },
    { name: "was, and lies in slices", facts: { verified: "digest", sliceBytes: 6 }, reads: 1 },
  ] as const)("takes the head of what $name for fresh for $reads more reads in a day", async ({ facts, reads }) => {
    const { store, reached, settled, clock } = rig();
    const key = `-/sha256/${newVersion()}${newVersion()}`;
    const text = "sliceBytes" in facts ? "" : "hello world";
    const read = async () => ((await store.get(key)) === null ? null : await textOf(await store.get(key)));
    await store.put(key, describedAs(11, facts), bytesOf(text));
    await read();
    await settled();
    reached();
    clock.now += 23 * 60 * TTL_MS;
    expect((await read()) ?? "").toBe(text);
    expect(reached()).toHaveLength(reads);
    await store.delete([key]);
    expect(await store.get(key)).toBeNull();
  });

  it("decides nothing on a cached head: `head` asks the store, and corrects the cache", async () => {
    const { store, elsewhere, settled } = rig();
    const key = newKey();
    await elsewhere.put(key, describedAs(3), bytesOf("old"));
    await textOf(await store.get(key));
    await settled();
    await elsewhere.delete([key]);
    expect(await store.head(key)).toBeNull();
    expect(await store.get(key)).toBeNull();
  });

  it("does not cache a head that was read before a write of this isolate", async () => {
    const medium = createR2Store(BUCKET);
    const key = newKey();
    let replace: (() => Promise<unknown>) | null = null;
    const slow: R2Store = {
      ...medium,
      async get(at) {
        const found = await medium.get(at);
        await replace?.();
        return found;
      },
    };
    const { store } = rig({ medium: slow });
    await store.put(key, describedAs(3), bytesOf("old"));
    replace = () => store.put(key, describedAs(3), bytesOf("new"));
    expect(await textOf(await store.get(key))).toBe("old");
    replace = null;
    expect(await textOf(await store.get(key))).toBe("new");
  });

  it("that fails, or whose calls are used up, only costs reads of the store", async () => {
    const fail = async (): Promise<never> => {
      throw new Error("Too many subrequests.");
    };
    const { store, settled } = rig({ cache: { match: fail, put: fail, delete: fail } });
    const key = newKey();
    await store.put(key, describedAs(3), bytesOf("abc"));
    expect(await textOf(await store.get(key))).toBe("abc");
    await store.delete([key]);
    await settled();
    expect(await store.get(key)).toBeNull();
  });

  it.each([
    ["refuses", () => Promise.reject(new Error("Too many subrequests."))],
    ["takes without reading", () => Promise.resolve()],
  ])("holds up no client where the cache %s what it is given", async (_, put) => {
    const { store, settled } = rig({ cache: { match: async () => undefined, put, delete: async () => false } });
    const version = newVersion();
    await store.putSlice(version, 0, new Uint8Array(5_000_000));
    expect(await sliceText(await store.getSlice(version, 0, 0, 5_000_000))).toHaveLength(5_000_000);
    await settled();
  });

  it("believes no entry of another key, another shape or another length", async () => {
    const liar: EdgeCache = {
      match: async () => new Response('{"key":"other","until":9e99,"object":{}}'),
      put: async () => {},
      delete: async () => true,
    };
    const { store, settled } = rig({ cache: liar });
    const key = newKey();
    await store.put(key, describedAs(3), bytesOf("abc"));
    expect(await textOf(await store.get(key))).toBe("abc");
    await settled();
  });

  it("passes on the failures of the store, and caches none", async () => {
    const medium = createR2Store(BUCKET);
    let well = false;
    const ill: R2Store = { ...medium, get: (key) => (well ? medium.get(key) : Promise.reject(new Error("unavailable"))) };
    const { store } = rig({ medium: ill });
    const key = newKey();
    await store.put(key, describedAs(3), bytesOf("abc"));
    await expect(store.get(key)).rejects.toThrow("unavailable");
    well = true;
    expect(await textOf(await store.get(key))).toBe("abc");
  });

  it("keeps two deployments of one zone apart", async () => {
    const [one, two] = [rig(), rig()];
    const key = newKey();
    await one.store.put(key, describedAs(3), bytesOf("abc"));
    await textOf(await one.store.get(key));
    await one.settled();
    await one.elsewhere.delete([key]);
    expect(await textOf(await one.store.get(key))).toBe("abc");
    expect(await two.store.get(key)).toBeNull();
  });

  it("whose head is fresh no more asks the store for the head alone, and gives the body that it has", async () => {
    const { store, clock, reached, settled } = rig();
    const [inline, sliced] = [newKey(), newKey()];
    await store.put(inline, describedAs(11), bytesOf("hello world"));
    const head = describedAs(100, { sliceBytes: 50 });
    await store.put(sliced, head, new Uint8Array());
    await textOf(await store.get(inline));
    await store.get(sliced);
    await settled();
    reached();
    for (const after of [TTL_MS, 3_600_000]) {
      clock.now += after;
      expect(await textOf(await store.get(inline))).toBe("hello world");
      expect(reached()).toEqual(["head"]);
      // Which made it fresh again.
      expect(await textOf(await store.get(inline, { first: 6 }))).toBe("world");
      expect(reached()).toEqual([]);
      expect(await store.get(sliced, { first: 60 })).toEqual({ object: head, body: null });
      expect(reached()).toEqual(["head"]);
    }
  });

  it("whose head is fresh no more takes no body of another version, nor one that was stored anew", async () => {
    const { store, elsewhere, clock, settled } = rig();
    const [replaced, renewed, gone, shorter] = [newKey(), newKey(), newKey(), newKey()];
    const old = describedAs(3);
    for (const key of [replaced, renewed, gone, shorter]) {
      await elsewhere.put(key, old, bytesOf("old"));
      await textOf(await store.get(key));
    }
    await settled();
    await elsewhere.put(replaced, describedAs(3), bytesOf("new"));
    // The same version of a root, whose cached bytes were rotten.
    await elsewhere.put(renewed, { ...old, storedAt: old.storedAt + 1 }, bytesOf("OLD"));
    await elsewhere.delete([gone]);
    await elsewhere.put(shorter, describedAs(100, { sliceBytes: 50 }), new Uint8Array());
    clock.now += TTL_MS;
    expect(await textOf(await store.get(replaced))).toBe("new");
    expect(await textOf(await store.get(renewed))).toBe("OLD");
    expect(await store.get(gone)).toBeNull();
    expect((await store.get(shorter, { first: 1 }))?.body).toBeNull();
  });

  it("gives the version that the caller knows without a read of the head, whatever it remembers of the key", async () => {
    const { store, elsewhere, reached, settled, clock } = rig();
    const key = newKey();
    const known = describedAs(11);
    await elsewhere.put(key, known, bytesOf("hello world"));
    await textOf(await store.get(key));
    await settled();
    reached();
    clock.now += 10 * TTL_MS;
    for (const wanted of [undefined, { first: 0, last: 10 }])
      expect(await textOf(await store.get(key, wanted, { known }))).toBe("hello world");
    expect(reached()).toEqual([]);
    // Where no cache has it, the store is asked once, and says what it has by now.
    const other = describedAs(5);
    expect((await store.get(key, undefined, { known: other }))?.object).toEqual(known);
    const head = describedAs(100, { sliceBytes: 50 });
    expect(await store.get(newKey(), { first: 60 }, { known: head })).toEqual({ object: head, body: null });
  });

  it("gives no bytes of a file that it deleted, such as one whose bytes went bad, whatever the caller knows", async () => {
    const { store, settled } = rig();
    const key = newKey();
    const known = describedAs(3);
    await store.put(key, known, bytesOf("bad"));
    await textOf(await store.get(key));
    await settled();
    expect(await textOf(await store.get(key, undefined, { known }))).toBe("bad");
    await store.delete([key]);
    expect(await store.get(key, undefined, { known })).toBeNull();
    const again = { ...known, storedAt: known.storedAt + 1 };
    await store.put(key, again, bytesOf("fit"));
    for (const knew of [known, again]) expect(await textOf(await store.get(key, undefined, { known: knew }))).toBe("fit");
  });

  it("answers a peek with a head that is fresh, and never that there is none", async () => {
    const { store, elsewhere, reached, settled, clock } = rig();
    const key = newKey();
    expect(await store.peek(key)).toBeNull();
    const object = describedAs(3);
    await elsewhere.put(key, object, bytesOf("abc"));
    expect(await store.peek(key)).toEqual(object);
    await settled();
    expect(reached()).toEqual(["head", "head"]);
    expect(await store.peek(key)).toEqual(object);
    expect(reached()).toEqual([]);
    await elsewhere.delete([key]);
    clock.now += TTL_MS;
    expect(await store.peek(key)).toBeNull();
  });

  it("has a body that one data centre read in all others, though not its head, where Workers Cache is behind it", async () => {
    const bytes = new Uint8Array(100_000).fill(7);
    const rules = worldOver(createR2Store(BUCKET));
    const [one, other] = [rig({ tiered: dataCentre(rules) }), rig({ tiered: dataCentre(rules) })];
    const key = newKey();
    const known = describedAs(bytes.length);
    await one.elsewhere.put(key, known, bytes);
    await one.elsewhere.putSlice(known.version, 0, bytes);
    for (const { store, reached, settled } of [one, other]) {
      expect(await textOf(await store.get(key, undefined, { known }))).toHaveLength(bytes.length);
      expect(await sliceText(await store.getSlice(known.version, 0, 20_000, 80_000))).toHaveLength(80_000);
      await settled();
      expect(reached()).toEqual([]);
      expect(await store.peek(key)).toEqual(known);
      expect(reached()).toEqual(["head"]);
    }
    expect(rules.ran()).toEqual([expect.stringMatching(/^\/body\//), expect.stringMatching(/^\/slice\//)]);
  });
});
