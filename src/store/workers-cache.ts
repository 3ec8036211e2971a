import { within } from "../clock/timer.ts";
import { type BodyCache, exactly, MAX_CACHED_BYTES, MIN_CACHED_BYTES, type NamedBytes } from "./body-cache.ts";

/** The inner entrypoint that answers with stored bytes (stored-bytes.ts), Cloudflare's Workers Cache in front of it. */
export interface CachedEntrypoint {
  fetch(url: string, init: { readonly headers: Record<string, string> }): Promise<Response>;
}

export interface WorkersCacheOptions {
  readonly entrypoint: CachedEntrypoint;
  /** Where it reads what it may not ask for, or did not get. */
  readonly next: BodyCache;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Milliseconds until the headers of an answer are there. */
  readonly answerLimitMs?: number;
}

/** Only the path and the query name an entry of Workers Cache; nothing resolves the host. */
const BASE = "https://stored-bytes";
/** A cache that is slower than this costs clients more than it saves them. */
const ANSWER_LIMIT_MS = 5_000;
/** After an answer that did not come in time the isolate asks no more for so long: each part would wait again. */
const PAUSE_MS = 60_000;

/**
 * Creates a cache of bodies in Workers Cache (https://developers.cloudflare.com/workers/cache/): tiered, collapsing, one for the world. Each call may be billed
 * as a request, $0.30 a million, and a read of R2 costs $0.36: it is worth a call where bytes come from nearer by, not for small parts.
 *
 * Where an answer has no Cf-Cache-Status there is no such cache (`wrangler dev`, a configuration without it), and the isolate asks no more.
 */
export function createWorkersCache({ entrypoint, next, now, answerLimitMs = ANSWER_LIMIT_MS }: WorkersCacheOptions): BodyCache {
  let isMissing = false;
  let pausedUntil = -Infinity;

  function isWorthCall({ size = 0 }: NamedBytes, length: number): boolean {
    return !isMissing && now() >= pausedUntil && length >= MIN_CACHED_BYTES && Math.max(size, length) <= MAX_CACHED_BYTES;
  }

  /** Null: it gave no usable answer. The platform limits the Worker's invocations for each request; calls beyond that throw. */
  async function ask({ name }: NamedBytes, headers: Record<string, string>): Promise<Response | null> {
    try {
      const asked = entrypoint.fetch(`${BASE}/${name}`, { headers });
      const response = await within(asked, answerLimitMs, () => {
        pausedUntil = now() + PAUSE_MS;
        void asked.then((late) => late.body?.cancel()).catch(() => {});
        return null;
      });
      if (response?.ok === true && !response.headers.has("cf-cache-status")) isMissing = true;
      return response;
    } catch {
      return null;
    }
  }

  return {
    // It cannot be asked for what it has without being filled.
    match: async () => null,

    async open(bytes, span) {
      const { offset, length } = span;
      if (!isWorthCall(bytes, length)) return next.open(bytes, span);
      const isWhole = offset === 0 && length === bytes.size;
      const response = await ask(bytes, isWhole ? {} : { Range: `bytes=${offset}-${offset + length - 1}` });
      if (response?.status === 404) {
        await response.body?.cancel();
        return null;
      }
      const body = response && (await exactly(response, span));
      return body === null ? next.open(bytes, span) : { from: "cache", body };
    },

    async openWhole(bytes) {
      if (!isWorthCall(bytes, bytes.size ?? MIN_CACHED_BYTES)) return next.openWhole(bytes);
      const response = await ask(bytes, {});
      const size = Number(response?.headers.get("content-length") ?? NaN);
      const body = response && (await exactly(response, { offset: 0, length: size }));
      return body === null ? next.openWhole(bytes) : { size, body };
    },

    keep: (_, { body }) => body,
  };
}
