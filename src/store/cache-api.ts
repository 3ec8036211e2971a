import { within } from "../clock/timer.ts";
import type { ByteSpan } from "../http/byte-ranges.ts";
import { BODY_SECONDS, type BodyCache, exactly, MAX_CACHED_BYTES, MIN_CACHED_BYTES, type NamedBytes } from "./body-cache.ts";

/** The methods of the Cache API that the store uses. Each may fail, and the cache may forget any entry at any time. */
export type EdgeCache = Pick<Cache, "match" | "put" | "delete">;

/** What a cache of the Cache API is and may do. */
export interface CacheApiOptions {
  readonly cache: EdgeCache;
  /** In front of a body's name, as `https://mirror.example.com/-/cached`; null while the Worker's own host is not known: then nothing is cached. */
  readonly base: () => string | null;
  /** Where it reads what it does not have. */
  readonly next: BodyCache;
  /** Slices from this index on are not cached: the platform limits the calls of the Cache API for each request. */
  readonly maxSlices: number;
  /** Keeps the work going behind the answer. */
  readonly waitUntil: (work: Promise<unknown>) => void;
}

/** The data centre's own cache answers in milliseconds. One that is slower than this counts as a miss. */
const ANSWER_LIMIT_MS = 2_000;

/** Bodies that this isolate fetched whole behind an answer, and remembers. Beyond this it forgets all, which costs a read for each. */
const MAX_WARMED = 1_000;

/** Creates a cache of bodies in the data centre's cache (https://developers.cloudflare.com/workers/runtime-apis/cache/): not tiered, not collapsing. */
export function createCacheApi({ cache, base, next, maxSlices, waitUntil }: CacheApiOptions): BodyCache {
  const warmed = new Set<string>();

  function urlOf({ name, slice = 0 }: NamedBytes): string | null {
    const before = base();
    return before === null || slice >= maxSlices ? null : `${before}/${name}`;
  }

  async function match(bytes: NamedBytes, span: ByteSpan): Promise<ReadableStream<Uint8Array> | null> {
    const url = urlOf(bytes);
    if (url === null) return null;
    const headers = { Range: `bytes=${span.offset}-${span.offset + span.length - 1}` };
    const found = await promptly(
      () => cache.match(new Request(url, { headers })),
      (late) => late?.body?.cancel(),
    );
    return found === undefined ? null : exactly(found, span);
  }

  /** Returns the body for the caller, and puts a copy of it into the cache in the background. */
  function copy(url: string, body: ReadableStream<Uint8Array>, size: number): ReadableStream<Uint8Array> {
    const [ours, theirs] = body.tee();
    waitUntil(put(url, theirs, size));
    return ours;
  }

  async function put(url: string, body: ReadableStream<Uint8Array>, size: number): Promise<void> {
    const headers = {
      "Cache-Control": `max-age=${BODY_SECONDS}`,
      "Content-Length": String(size),
      "Content-Type": "application/octet-stream",
    };
    const response = new Response(body, { headers });
    await quietly(() => cache.put(url, response));
    // The cache refused the body, or there is none (workers.dev): an unread branch of a tee would block the other one, and so the client.
    if (!response.bodyUsed) await quietly(async () => response.body?.cancel());
  }

  /** Fetches all of a body of which a client reads only the end, once for each isolate, so that the next part is there. */
  async function warm(url: string, bytes: NamedBytes): Promise<void> {
    if (warmed.has(url)) return;
    if (warmed.size >= MAX_WARMED) warmed.clear();
    warmed.add(url);
    const whole = await quietly(() => next.openWhole(bytes));
    if (whole === undefined || whole === null) return;
    if (whole.size <= MAX_CACHED_BYTES) await put(url, whole.body, whole.size);
    else await quietly(() => whole.body.cancel());
  }

  return {
    match,

    async open(bytes, span) {
      const cached = await match(bytes, span);
      if (cached !== null) return { from: "cache", body: cached };
      const opened = await next.open(bytes, span);
      const url = urlOf(bytes);
      if (opened === null || url === null) return opened;
      const { offset, length } = span;
      const isWhole = offset === 0 && length === bytes.size;
      if (!isWhole && length < MIN_CACHED_BYTES) return opened;
      if (offset === 0 && length <= MAX_CACHED_BYTES) return { ...opened, body: copy(url, opened.body, length) };
      // Where a cache behind this one answered, it has all of the body by now.
      if (offset > 0 && opened.from === "store") waitUntil(warm(url, bytes));
      return opened;
    },

    openWhole: (bytes) => next.openWhole(bytes),

    keep(bytes, { body, size }) {
      const url = urlOf(bytes);
      return url === null || size > MAX_CACHED_BYTES ? body : copy(url, body, size);
    },
  };
}

/** The result of the call; undefined where the cache failed, which counts as a miss. */
async function quietly<T>(call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await call();
  } catch {
    return undefined;
  }
}

/** As `quietly`; undefined also where the cache does not answer in time: no client is to wait for it. `drop` gets what comes later. */
export function promptly<T>(call: () => Promise<T>, drop: (late: T) => unknown = () => {}): Promise<T | undefined> {
  return quietly(() => {
    const asked = call();
    return within(asked, ANSWER_LIMIT_MS, () => {
      void asked.then(drop).catch(() => {});
      return undefined;
    });
  });
}
