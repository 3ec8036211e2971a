import type { Config } from "./config/config.ts";
import { publicHostOf } from "./config/public-host.ts";
import { type SizedBody, UNCACHED } from "./store/body-cache.ts";
import { createCacheApi, type EdgeCache } from "./store/cache-api.ts";
import { createCachedHeads } from "./store/cached-heads.ts";
import { createEdgeCacheStore, type EdgeCacheStore } from "./store/edge-cache-store.ts";
import { createHotBodies, type HotBodies } from "./store/hot-bodies.ts";
import type { ObjectStore } from "./store/object-store.ts";
import { type CachedEntrypoint, createWorkersCache } from "./store/workers-cache.ts";

/** What the edge's caches need of the platform. */
export interface CachePorts {
  /** The data centre's cache. */
  readonly cache: EdgeCache;
  /** The inner entrypoint that has Workers Cache in front of it; undefined where the platform gives none. */
  readonly entrypoint: CachedEntrypoint | undefined;
  /** The host of the isolate's first request; undefined as long as none came. */
  readonly firstHost: () => string | undefined;
  /** Names this deployment of the Worker; empty where the platform gives no name. */
  readonly deployment: string;
  /** Opens all of a slice of the bucket; null where there is none. Throws StoreError. */
  readonly openSlice: (version: string, index: number) => Promise<SizedBody | null>;
  /** Keeps the isolate alive until `work` has settled. */
  readonly waitUntil: (work: Promise<unknown>) => void;
}

/**
 * Slices of one request that the Cache API serves. A slice takes two calls of it, of which Cloudflare allows 50 a request on the free plan and 1,000 on the
 * paid one.
 */
const MAX_CACHED_SLICES = { free: 12, paid: 400 } as const;

/**
 * Caches keep heads for METADATA_TTL, but never longer than this: a purge takes effect within it, but for files under their own digest (cached-heads.ts).
 */
const MAX_HEAD_TTL_MS = 60_000;

/** For how many milliseconds a data centre's cache may give out a head that has changed in the store. */
export function headTtlMs({ metadataTtlSeconds }: Config): number {
  return Math.min(metadataTtlSeconds * 1_000, MAX_HEAD_TTL_MS);
}

/** The share of the machine's memory that bodies take, unless the configuration says another size. */
const HOT_SHARE = 0.04;

/** What holds bodies in memory on one machine, which has `ram` bytes of it; without that number it holds none by itself. */
export function composeHot({ hotBytes }: Pick<Config, "hotBytes">, ram: number = 0): HotBodies {
  return createHotBodies(hotBytes ?? Math.floor(ram * HOT_SHARE), Date.now);
}

/** Puts the edge's caches in front of the bucket's store: the data centre's own cache, which reads through the cache of all data centres. */
export function composeCaches(
  store: ObjectStore,
  config: Config,
  { cache, entrypoint, firstHost, deployment, openSlice, waitUntil }: CachePorts,
): EdgeCacheStore {
  const publicHost = publicHostOf(config);
  // Cloudflare advises against keys with hosts that are not the Worker's own. No page lies below this path.
  const base = (): string | null => {
    const host = publicHost ?? firstHost();
    return host === undefined ? null : `https://${host}/-/cached`;
  };
  const now = (): number => Date.now();
  const isTiered = config.edgeCache === "tiered" && entrypoint !== undefined;
  const next = isTiered ? createWorkersCache({ entrypoint, next: UNCACHED, now }) : UNCACHED;
  return createEdgeCacheStore(store, {
    heads: createCachedHeads({ cache, base, namespace: deployment, ttlMs: headTtlMs(config), now }),
    bodies: createCacheApi({ cache, base, next, maxSlices: MAX_CACHED_SLICES[config.plan], waitUntil }),
    openSlice,
  });
}
