import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { UNCACHED } from "../../../src/store/body-cache.ts";
import { createCacheApi, type EdgeCache } from "../../../src/store/cache-api.ts";
import { createCachedHeads } from "../../../src/store/cached-heads.ts";
import { createEdgeCacheStore } from "../../../src/store/edge-cache-store.ts";
import { newVersion } from "../../../src/store/keys.ts";
import type { ObjectStore } from "../../../src/store/object-store.ts";
import type { StoredObject } from "../../../src/store/stored-object.ts";
import { createMemoryStore } from "../../support/memory-store.ts";

const TTL_MS = 60_000;
const BY_DIGEST = `-/sha256/${newVersion()}${newVersion()}`;
const PACKAGE = "fedora/x.rpm";
const never = (): Promise<never> => new Promise(() => {});

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

/** An object of no bytes: these tests are about heads. */
function describe(facts: Partial<StoredObject> = {}): StoredObject {
  return { version: newVersion(), size: 0, storedAt: 1, contentType: "", upstream: "", verified: "digest", ...facts };
}

function createCache(): EdgeCache {
  const entries = new Map<string, string>();
  const urlOf = (request: RequestInfo | URL): string => (request instanceof Request ? request.url : String(request));
  return {
    async match(request) {
      const text = entries.get(urlOf(request));
      return text === undefined ? undefined : new Response(text);
    },
    async put(request, response) {
      entries.set(urlOf(request), await response.text());
    },
    delete: async (request) => entries.delete(urlOf(request)),
  };
}

/** One data centre in front of a medium that other data centres write to; `medium` is also what fails. */
function createRig(cache: EdgeCache = createCache()) {
  const medium = createMemoryStore(Date.now);
  const reads: string[] = [];
  const counted: ObjectStore = {
    ...medium,
    get: (key) => (reads.push("get"), medium.get(key)),
    head: (key) => (reads.push("head"), medium.head(key)),
  };
  const now = Date.now;
  const base = (): string => "https://mirror.test/-/cached";
  const store = (over: ObjectStore = counted): ObjectStore =>
    createEdgeCacheStore(over, {
      heads: createCachedHeads({ cache, base, namespace: "", ttlMs: TTL_MS, now }),
      bodies: createCacheApi({ cache, base, next: UNCACHED, maxSlices: 9, waitUntil: () => {} }),
      openSlice: async () => null,
    });
  return { medium, counted, reads, store };
}

test("a head is fresh from when its read began: what was deleted during a slow read is not given for longer than what was deleted before it", async () => {
  const { medium, counted, store } = createRig();
  await medium.put(PACKAGE, describe(), new Uint8Array());
  const slow = store({
    ...counted,
    async get(key) {
      const found = await medium.get(key);
      await vi.advanceTimersByTimeAsync(15_000);
      return found;
    },
  });
  await slow.get(PACKAGE);
  await medium.delete([PACKAGE]);
  await vi.advanceTimersByTimeAsync(TTL_MS - 15_000 - 1);
  expect(await store().peek(PACKAGE)).not.toBeNull();
  await vi.advanceTimersByTimeAsync(1);
  expect(await store().peek(PACKAGE)).toBeNull();
});

test("a head that is fresh for a day is forgotten once the store does not have its object: the repository is asked for the file then", async () => {
  const { medium, reads, store } = createRig();
  const read = store();
  await medium.put(BY_DIGEST, describe(), new Uint8Array());
  await read.get(BY_DIGEST);
  await medium.delete([BY_DIGEST]);
  expect(await read.get(BY_DIGEST)).toBeNull();
  expect(await read.peek(BY_DIGEST)).toBeNull();
  reads.splice(0);
  expect(await read.get(BY_DIGEST)).toBeNull();
  expect(reads).toEqual(["get"]);
});

test("a deletion that fails half-way, or a write, is taken for done in the data centre's cache", async () => {
  const { medium, counted, store } = createRig();
  await medium.put(PACKAGE, describe(), new Uint8Array());
  const failing = async (): Promise<never> => {
    await medium.delete([PACKAGE]);
    throw new Error("no answer");
  };
  await store().get(PACKAGE);
  await expect(store({ ...counted, delete: failing }).delete([PACKAGE])).rejects.toThrow("no answer");
  expect(await store().peek(PACKAGE)).toBeNull();

  await medium.put(PACKAGE, describe(), new Uint8Array());
  await store().get(PACKAGE);
  await expect(store({ ...counted, put: failing }).put(PACKAGE, describe(), new Uint8Array())).rejects.toThrow("no answer");
  expect(await store().peek(PACKAGE)).toBeNull();
});

test.each(["match", "put", "delete"] as const)("no client waits for a %s of the cache that does not end", async (method) => {
  const { medium, store } = createRig({ ...createCache(), [method]: never });
  const read = store();
  await medium.put(PACKAGE, describe({ size: 3 }), new Uint8Array(3));
  const answered = vi.fn<() => void>();
  void (async () => {
    await read.get(PACKAGE);
    await read.get(PACKAGE, { first: 1, last: 1 });
    await read.peek(PACKAGE);
    await read.delete([PACKAGE]);
    answered();
  })();
  await vi.advanceTimersByTimeAsync(20_000);
  expect(answered).toHaveBeenCalledTimes(1);
});

test("what a cache gives too late is let go of", async () => {
  const cancelled = vi.fn<() => void>();
  const late = async (): Promise<Response> => {
    await new Promise((resolve) => setTimeout(resolve, 10_000));
    return new Response(new ReadableStream({ cancel: cancelled }));
  };
  const own = { base: () => "https://mirror.test", next: UNCACHED, maxSlices: 9, waitUntil: () => {} };
  const cache = createCacheApi({ ...own, cache: { ...createCache(), match: late } });
  const bytes = { name: "slice/x/0", read: async () => null, readWhole: async () => null };
  const found = cache.match(bytes, { offset: 0, length: 1 });
  await vi.advanceTimersByTimeAsync(2_000);
  expect(await found).toBeNull();
  expect(cancelled).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(8_000);
  expect(cancelled).toHaveBeenCalledTimes(1);
});
