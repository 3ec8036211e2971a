import { env } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { createEdgeCacheStore, type EdgeCache } from "../../src/store/edge-cache-store.ts";
import { newVersion } from "../../src/store/keys.ts";
import type { ObjectStore } from "../../src/store/object-store.ts";
import { createR2Store } from "../../src/store/r2-store.ts";
import { bytesOf, describeObjectStore, describedAs, textOf } from "./object-store.ts";

const { BUCKET } = env as unknown as { readonly BUCKET: R2Bucket };
const TTL_MS = 60_000;
const DEFAULT_CACHE: EdgeCache = caches.default;

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

/** One data centre for each rig, by a namespace of its own; versions are unique anyway. */
function rig({ cache = DEFAULT_CACHE, ttlMs = TTL_MS, maxSlices = 100, namespace = newVersion() } = {}): Rig {
  const elsewhere = createR2Store(BUCKET);
  const calls: string[] = [];
  const counted: ObjectStore = {
    ...elsewhere,
    get: (key, wanted) => (calls.push("get"), elsewhere.get(key, wanted)),
    head: (key) => (calls.push("head"), elsewhere.head(key)),
    getSlice: (version, index, offset, length) => (calls.push("slice"), elsewhere.getSlice(version, index, offset, length)),
  };
  const clock = { now: 1_700_000_000_000 };
  const pending: Promise<unknown>[] = [];
  const waitUntil = (work: Promise<unknown>) => void pending.push(work);
  return {
    store: createEdgeCacheStore(counted, { cache, namespace, ttlMs, maxSlices, now: () => clock.now, waitUntil }),
    elsewhere,
    clock,
    reached: () => calls.splice(0),
    settled: async () => void (await Promise.all(pending)),
  };
}

const NAMESPACE = newVersion();
// Within one data centre it keeps every clause. Writes in others show after the TTL: see below.
describeObjectStore("the edge cache over R2", () => rig({ namespace: NAMESPACE }).store);
describeObjectStore("the edge cache that may keep no heads, over R2", () => rig({ ttlMs: 0 }).store);

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
    const { elsewhere } = rig();
    const key = newKey();
    let replace: (() => Promise<unknown>) | null = null;
    const slow: ObjectStore = {
      ...elsewhere,
      async get(at) {
        const found = await elsewhere.get(at);
        await replace?.();
        return found;
      },
    };
    const options = { cache: caches.default, namespace: newVersion(), ttlMs: TTL_MS, maxSlices: 1, now: () => 0, waitUntil: () => {} };
    const store = createEdgeCacheStore(slow, options);
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
    const { elsewhere } = rig();
    let well = false;
    const ill: ObjectStore = { ...elsewhere, get: (key) => (well ? elsewhere.get(key) : Promise.reject(new Error("unavailable"))) };
    const options = { cache: caches.default, namespace: newVersion(), ttlMs: TTL_MS, maxSlices: 1, now: () => 0, waitUntil: () => {} };
    const store = createEdgeCacheStore(ill, options);
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
});
