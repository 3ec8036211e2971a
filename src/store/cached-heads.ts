import * as v from "valibot";
import { type EdgeCache, promptly } from "./cache-api.ts";
import { isStorableKey } from "./keys.ts";
import { digestInKey } from "./known-digest.ts";
import { STORED_OBJECT, type StoredObject } from "./stored-object.ts";

/** What is remembered of a key. `isFresh`: it may be used as it is; else only where the store says the same. */
export interface CachedHead {
  readonly object: StoredObject;
  readonly isFresh: boolean;
}

/** What was so when a read of the store began. */
export interface ReadBegun {
  /** Writes of this isolate before it. */
  readonly writes: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

export interface CachedHeads {
  /** What is remembered of the key; null: nothing. */
  recall(key: string): Promise<CachedHead | null>;
  /**
   * Remembers what was read; `begun` is `begin()` before that read. A head that was read before a write must not be remembered after it. It is fresh from when
   * the read began, however long that took: another data centre may have deleted it meanwhile.
   */
  learn(key: string, object: StoredObject, begun: ReadBegun): Promise<void>;
  /** Forgets the key, which was written. */
  forget(key: string): Promise<void>;
  begin(): ReadBegun;
}

export interface CachedHeadsOptions {
  readonly cache: EdgeCache;
  /** As for bodies (cache-api.ts). */
  readonly base: () => string | null;
  /** Different for each deployment: deployments in one zone share its cache, and must not read each other's entries. */
  readonly namespace: string;
  /** For how many milliseconds a head is fresh that may change; a purge or a new version may take as long to show. 0: none is. */
  readonly ttlMs: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** For so long a head that is not fresh any more says which body to look for. */
const KEPT_SECONDS = 24 * 60 * 60;
/**
 * For so long a head is fresh whose bytes were compared with the digest in its key: nothing else ever lies there. Only that it was deleted shows later in other
 * data centres, and what they give until then is right by its digest.
 */
const PROVEN_MS = KEPT_SECONDS * 1_000;

const HEAD = v.pipe(v.string(), v.parseJson(), v.object({ key: v.string(), until: v.number(), object: STORED_OBJECT }));

/**
 * Creates the heads that the data centre's cache remembers. They are not in Workers Cache: a head changes, and what changes there would have to be purged,
 * at rates that Cloudflare limits.
 */
export function createCachedHeads({ cache, base, namespace, ttlMs, now }: CachedHeadsOptions): CachedHeads {
  let writes = 0;

  function lifeOf(key: string, { verified, sha256, sliceBytes }: StoredObject): number {
    const named = digestInKey(key);
    const isProven = named !== null && (verified === "digest" || named.digest === sha256);
    // Slices of a head that was deleted go after a day: a head that is fresh for as long would promise what is not there.
    return isProven && sliceBytes === undefined && ttlMs > 0 ? PROVEN_MS : ttlMs;
  }

  function urlOf(key: string): string | null {
    const before = base();
    return before === null ? null : `${before}/head/${encodeURIComponent(`${namespace} ${key}`)}`;
  }

  return {
    begin: () => ({ writes, at: now() }),

    async recall(key) {
      const url = urlOf(key);
      const text = url && (await promptly(async () => (await cache.match(new Request(url)))?.text()));
      const parsed = text ? v.safeParse(HEAD, text) : null;
      // Checked here as well, since the platform's cache promises neither exact expiry nor exact keys.
      if (parsed?.success !== true || parsed.output.key !== key) return null;
      const { object, until } = parsed.output;
      return { object, isFresh: now() < until };
    },

    async learn(key, object, begun) {
      const url = urlOf(key);
      if (url === null || writes !== begun.writes) return;
      const text = JSON.stringify({ key, until: begun.at + lifeOf(key, object), object });
      await promptly(() => cache.put(url, new Response(text, { headers: { "Cache-Control": `max-age=${KEPT_SECONDS}` } })));
    },

    async forget(key) {
      writes++;
      const url = isStorableKey(key) ? urlOf(key) : null;
      if (url !== null) await promptly(() => cache.delete(url));
    },
  };
}
