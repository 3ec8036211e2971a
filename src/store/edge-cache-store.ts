import * as v from "valibot";
import { isStorableKey, parseJson, parseStoredObject, sliceKey } from "./keys.ts";
import type { ObjectStore, StoredBody, Wanted } from "./object-store.ts";
import type { StoredObject } from "./stored-object.ts";
import { resolveWanted } from "./wanted-range.ts";

/** The two methods of the Cache API that are used. Both may fail, and forget, at any time. */
export type EdgeCache = Pick<Cache, "match" | "put" | "delete">;

export interface EdgeCacheOptions {
  readonly cache: EdgeCache;
  /** Deployments that share a zone share its cache: what one knows of a key is nothing to another. */
  readonly namespace: string;
  /** How long a head may be served without asking the store, and so how long a purge or another version may take to show. 0: not at all. */
  readonly ttlMs: number;
  /** Slices from this number on are not cached: calls of the Cache API are limited for each request. */
  readonly maxSlices: number;
  readonly now: () => number;
  readonly waitUntil: (work: Promise<unknown>) => void;
}

/** No host of this name can be (RFC 6761): nothing that a client asks for meets these entries. */
const ORIGIN = "https://edge-cache.invalid";
/** Bodies are named by their version and never change; the platform forgets what nobody asks for. */
const BODY_SECONDS = 30 * 24 * 60 * 60;
/** A part shorter than this costs less to read than to cache. */
const MIN_CACHED_BYTES = 64 * 1024;
/** Cloudflare takes 512 MB; one that large would push everything else out. */
const MAX_CACHED_BYTES = 64 * 1024 * 1024;

const HEAD = v.object({ key: v.string(), until: v.number(), object: v.unknown() });

/**
 * Reads through the data centre's cache: bodies and slices by version, for as long as the platform keeps them; heads for `ttlMs` at most. Writes, `head`
 * and `list` go to the store itself, so that decisions about what to replace or delete are made on what is there; writes through any instance in this
 * data centre are seen at once by reads through it, those of others within `ttlMs`.
 */
export function createEdgeCacheStore(
  store: ObjectStore,
  { cache, namespace, ttlMs, maxSlices, now, waitUntil }: EdgeCacheOptions,
): ObjectStore {
  /** Counts what this isolate wrote: a head that was read before must not be cached after. */
  let writes = 0;
  const headUrl = (key: string) => `${ORIGIN}/head/${encodeURIComponent(`${namespace} ${key}`)}`;

  async function cachedHead(key: string): Promise<StoredObject | null> {
    if (ttlMs === 0) return null;
    const found = await match(headUrl(key));
    const parsed = found && v.safeParse(HEAD, parseJson(await found.text()));
    // The cache's own idea of time and of keys is not relied on.
    if (parsed?.success !== true || parsed.output.key !== key || now() >= parsed.output.until) return null;
    return parseStoredObject(parsed.output.object);
  }

  async function cacheHead(key: string, object: StoredObject, writesBefore: number): Promise<void> {
    if (ttlMs === 0 || writes !== writesBefore) return;
    const text = JSON.stringify({ key, until: now() + ttlMs, object });
    await put(headUrl(key), new Response(text, { headers: { "Cache-Control": `max-age=${Math.ceil(ttlMs / 1_000)}` } }));
  }

  async function forgetHead(key: string): Promise<void> {
    writes++;
    if (ttlMs === 0 || !isStorableKey(key)) return;
    await quietly(() => cache.delete(headUrl(key)));
  }

  /** Exactly the bytes [offset, offset + length) of a cached body, or null. */
  async function cachedBytes(url: string, offset: number, length: number): Promise<ReadableStream<Uint8Array> | null> {
    const found = await match(url, { Range: `bytes=${offset}-${offset + length - 1}` });
    const isExact = found?.status === 206 && found.headers.get("content-range")?.startsWith(`bytes ${offset}-${offset + length - 1}/`);
    if (isExact === true) return found?.body ?? null;
    await found?.body?.cancel();
    return null;
  }

  /** The body for the caller, and a copy of it on its way into the cache. */
  function cacheBody(url: string, body: ReadableStream<Uint8Array>, length: number): ReadableStream<Uint8Array> {
    const [ours, theirs] = body.tee();
    const headers = {
      "Cache-Control": `max-age=${BODY_SECONDS}`,
      "Content-Length": String(length),
      "Content-Type": "application/octet-stream",
    };
    waitUntil(put(url, new Response(theirs, { headers })));
    return ours;
  }

  async function match(url: string, headers: Record<string, string> = {}): Promise<Response | null> {
    return (await quietly(() => cache.match(new Request(url, { headers })))) ?? null;
  }

  async function put(url: string, response: Response): Promise<void> {
    await quietly(() => cache.put(url, response));
    // Refused, or no cache at all (workers.dev): an unread branch would hold up the other one, and the client with it.
    if (!response.bodyUsed) await quietly(async () => response.body?.cancel());
  }

  async function readThrough(key: string, wanted: Wanted | undefined): Promise<StoredBody | null> {
    const before = writes;
    const found = await store.get(key, wanted);
    if (found === null) return null;
    const { object, body } = found;
    await cacheHead(key, object, before);
    const isWhole = wanted === undefined && body !== null && object.sliceBytes === undefined;
    return isWhole && object.size > 0 && object.size <= MAX_CACHED_BYTES
      ? { object, body: cacheBody(bodyUrl(object), body, object.size) }
      : found;
  }

  return {
    ...store,

    async head(key) {
      const before = writes;
      const object = await store.head(key);
      // Whoever looks at the truth corrects what the cache says.
      if (object === null) await forgetHead(key);
      else await cacheHead(key, object, before);
      return object;
    },

    async get(key, wanted) {
      const object = isStorableKey(key) ? await cachedHead(key) : null;
      if (object === null) return readThrough(key, wanted);
      if (object.sliceBytes !== undefined) return { object, body: null };
      const span = resolveWanted(wanted, object.size);
      if (span === null) return { object, body: null };
      const body = object.size === 0 ? null : await cachedBytes(bodyUrl(object), span.start, span.end - span.start);
      return body === null ? readThrough(key, wanted) : { object, body };
    },

    async put(key, object, bytes, options) {
      const done = await store.put(key, object, bytes, options);
      await forgetHead(key);
      return done;
    },

    async delete(keys) {
      await store.delete(keys);
      await Promise.all(keys.map(forgetHead));
    },

    async getSlice(version, index, offset = 0, length) {
      if (length === undefined || length === 0 || index >= maxSlices) return store.getSlice(version, index, offset, length);
      const url = `${ORIGIN}/${sliceKey(version, index)}`;
      const cached = await cachedBytes(url, offset, length);
      if (cached !== null) return cached;
      const body = await store.getSlice(version, index, offset, length);
      return body !== null && offset === 0 && length >= MIN_CACHED_BYTES ? cacheBody(url, body, length) : body;
    },
  };
}

function bodyUrl({ version }: StoredObject): string {
  return `${ORIGIN}/body/${version}`;
}

/** A cache that fails has nothing; the store is asked. */
async function quietly<T>(call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await call();
  } catch {
    return undefined;
  }
}
