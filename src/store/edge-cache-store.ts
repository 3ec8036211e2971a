import * as v from "valibot";
import { type ByteRange, resolveRange } from "../http/byte-ranges.ts";
import { isStorableKey, sliceKey } from "./keys.ts";
import type { ObjectStore, StoredBody } from "./object-store.ts";
import { STORED_OBJECT, type StoredObject } from "./stored-object.ts";

/** The methods of the Cache API that the store uses. Each may fail, and the cache may forget any entry at any time. */
export type EdgeCache = Pick<Cache, "match" | "put" | "delete">;

/** What the cache is and may do. */
export interface EdgeCacheOptions {
  readonly cache: EdgeCache;
  /** Different for each deployment: deployments in one zone share its cache, and must not read each other's entries. */
  readonly namespace: string;
  /** For how many milliseconds a head may be served without a read of the store; a purge or a new version may take as long to show. 0: never. */
  readonly ttlMs: number;
  /** Slices from this index on are not cached: the platform limits the calls of the Cache API for each request. */
  readonly maxSlices: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly waitUntil: (work: Promise<unknown>) => void;
}

/** A host that cannot exist (RFC 6761 §6.4), so that no client's URL is that of an entry. */
const ORIGIN = "https://edge-cache.invalid";
/** Bodies are named by their version and never change. The platform evicts those that are not read any more. */
const BODY_SECONDS = 30 * 24 * 60 * 60;
/** Shorter parts are not cached: that would cost more than reading them. */
const MIN_CACHED_BYTES = 64 * 1024;
/** Larger bodies are not cached: Cloudflare would take 512 MB, but one such body would evict everything else. */
const MAX_CACHED_BYTES = 64 * 1024 * 1024;

const HEAD = v.pipe(v.string(), v.parseJson(), v.object({ key: v.string(), until: v.number(), object: STORED_OBJECT }));

/**
 * Creates a store that reads through the data centre's cache: bodies and slices by version, for as long as the platform keeps them; heads for `ttlMs`
 * at most. Writes, `head` and `list` go to the store itself, so that what to replace or delete is decided on what is there. A read sees writes of
 * the same data centre at once, and those of others within `ttlMs`.
 */
export function createEdgeCacheStore(
  store: ObjectStore,
  { cache, namespace, ttlMs, maxSlices, now, waitUntil }: EdgeCacheOptions,
): ObjectStore {
  /** Writes of this isolate so far: a head that was read before a write must not be cached after it. */
  let writes = 0;
  const headUrl = (key: string) => `${ORIGIN}/head/${encodeURIComponent(`${namespace} ${key}`)}`;

  async function cachedHead(key: string): Promise<StoredObject | null> {
    if (ttlMs === 0) return null;
    const found = await match(headUrl(key));
    const parsed = found && v.safeParse(HEAD, await found.text());
    // Checked here as well, since the platform's cache promises neither exact expiry nor exact keys.
    if (parsed?.success !== true || parsed.output.key !== key || now() >= parsed.output.until) return null;
    return parsed.output.object;
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

  /** The bytes [offset, offset + length) of a cached body; null unless the cache has exactly these. */
  async function cachedBytes(url: string, offset: number, length: number): Promise<ReadableStream<Uint8Array> | null> {
    const found = await match(url, { Range: `bytes=${offset}-${offset + length - 1}` });
    const isExact = found?.status === 206 && found.headers.get("content-range")?.startsWith(`bytes ${offset}-${offset + length - 1}/`);
    if (isExact === true) return found?.body ?? null;
    await found?.body?.cancel();
    return null;
  }

  /** Returns the body for the caller, and puts a copy of it into the cache in the background. */
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
    // The cache refused the body, or there is none (workers.dev): an unread branch of the tee would block the other one, and so the client.
    if (!response.bodyUsed) await quietly(async () => response.body?.cancel());
  }

  async function readThrough(key: string, wanted: ByteRange | undefined): Promise<StoredBody | null> {
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

  async function readHead(key: string): Promise<StoredObject | null> {
    const before = writes;
    const object = await store.head(key);
    // The store's answer corrects the cache.
    if (object === null) await forgetHead(key);
    else await cacheHead(key, object, before);
    return object;
  }

  return {
    ...store,

    head: readHead,

    async peek(key) {
      return (isStorableKey(key) ? await cachedHead(key) : null) ?? readHead(key);
    },

    async get(key, wanted) {
      const object = isStorableKey(key) ? await cachedHead(key) : null;
      if (object === null) return readThrough(key, wanted);
      if (object.sliceBytes !== undefined) return { object, body: null };
      const { offset, length } = resolveRange(wanted ?? { first: 0 }, object.size);
      if (length === 0 && wanted !== undefined) return { object, body: null };
      const body = length === 0 ? null : await cachedBytes(bodyUrl(object), offset, length);
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

/** The time is part of it: a root that is fetched again has the same version, since that follows from its content, and the cached copy may be rotten. */
function bodyUrl({ version, storedAt }: StoredObject): string {
  return `${ORIGIN}/body/${version}/${storedAt}`;
}

/** The result of the call; undefined where the cache failed, which counts as a miss. */
async function quietly<T>(call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await call();
  } catch {
    return undefined;
  }
}
