import { sleep, systemTimer } from "./clock/timer.ts";
import type { Config } from "./config/config.ts";
import { createFills } from "./fill/fills.ts";
import { createGivenBodies } from "./fill/given-bodies.ts";
import { createMemory } from "./fill/shared/memory.ts";
import { createNativeStore, FREE_PUMP_BYTES, type StreamPut } from "./fill/native-store.ts";
import type { Leases } from "./fill/flight/leases.ts";
import { createStreamDigest } from "./fill/pump/check.ts";
import type { PumpDependencies } from "./fill/pump/dependencies.ts";
import { classifyKeys, quotasOf, shardOf } from "./retention/batch.ts";
import { describePassed } from "./retention/describe-passed.ts";
import { createRetention, type LedgerPort } from "./retention/retention.ts";
import { condemn } from "./store/condemn.ts";
import type { EdgeCacheStore } from "./store/edge-cache-store.ts";
import type { ObjectStore } from "./store/object-store.ts";
import type { StoredObject } from "./store/stored-object.ts";
import { createRoom } from "./serve/shared/room.ts";
import { createUpstreams } from "./upstream/create-upstreams.ts";
import { createVia } from "./upstream/via.ts";
import type { Counters } from "./watch/counters.ts";

/** Bytes that all fills of an isolate hold in memory at once. At the edge an isolate has 128 MB for everything. */
const EDGE_FILL_BYTES = 64 * 1024 * 1024;
const LOCAL_FILL_BYTES = 512 * 1024 * 1024;
/** Bytes of stored files that are held in memory at once, to be compared before clients that doubt them get any. */
const EDGE_CHECK_BYTES = 16 * 1024 * 1024;
const LOCAL_CHECK_BYTES = 64 * 1024 * 1024;
/** How long a busy isolate collects uses for one batch. */
const EDGE_BATCH_MS = 120_000;
/** With uses of so many objects one machine sends a batch at once: each costs its ledgers a transaction, which SQLite flushes to the disk. */
const LOCAL_BATCH_USES = 5_000;
/** As in package.json; upstreams see it in User-Agent. */
const VERSION = "0.1.0";

/** What requests and Durable Objects of one isolate share: plain data and ports, never a stream or promise of one request. */
export type Core = ReturnType<typeof composeCore>;

export interface CoreOptions {
  readonly isLocal: boolean;
  /** Whether reads of the store take time, as those of a bucket do, and not of a disk. */
  readonly isStoreFar: boolean;
  /** Sends a request to an upstream. */
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  readonly ledger: (name: string) => LedgerPort;
  /** The store with a cache in front of it, or as it is where there is no cache. */
  readonly cached: (store: ObjectStore) => ObjectStore & Partial<Pick<EdgeCacheStore, "noteChanged">>;
  /** Stores a body that the platform moves, without the Worker's CPU; set on the free plan, null elsewhere. */
  readonly streamPut: StreamPut | null;
  /** Keeps the isolate alive until `work` has settled. */
  readonly waitUntil: (work: Promise<unknown>) => void;
  readonly log: (message: string) => void;
  /** Counts what happens; does no I/O. */
  readonly counters: Counters;
}

/** Puts together what an isolate needs, over a store and the leases of its fills. */
export function composeCore(
  config: Config,
  bareStore: ObjectStore,
  leases: Leases,
  { isLocal, isStoreFar, fetch, ledger, cached, streamPut, waitUntil, log, counters }: CoreOptions,
) {
  const now = () => Date.now();
  const budget = config.budgetBytes;
  const onUnstored = (key: string, reason: string): void => {
    counters.passed(key, reason, now());
    log(`Passed ${key} on unstored: ${reason}`);
  };
  const retention = createRetention({
    ledger,
    budget,
    quotas: quotasOf(config),
    classOf: classifyKeys(config),
    now,
    random: Math.random,
    // At the edge each call is billed. On one machine a call costs nothing, and what is used shows at once.
    maxWaitMs: isLocal ? 0 : EDGE_BATCH_MS,
    ...(isLocal ? { flushUses: LOCAL_BATCH_USES } : {}),
    sleep,
    waitUntil,
    log,
    onPassed: (key, size, why, limit) => onUnstored(key, describePassed(size, why, limit)),
  });
  const store = cached(retention.watch(bareStore));
  const via = createVia(config);
  const upstreams = createUpstreams({
    config,
    via,
    version: VERSION,
    fetch,
    now,
    random: Math.random,
    after: systemTimer,
    onEvent: (event) => {
      counters.upstreamEvent(event, now());
      log(JSON.stringify(event));
    },
  });
  const onStored: PumpDependencies["onStored"] = (target, object) => {
    counters.stored(target.mirror.name, object.size);
    retention.count(target.mirror.name, { fetched: object.size });
  };
  const pump: PumpDependencies = {
    config,
    store,
    upstreams,
    leases,
    memory: createMemory(isLocal ? LOCAL_FILL_BYTES : EDGE_FILL_BYTES, sleep),
    now,
    sleep,
    createDigest: createStreamDigest,
    admit: retention.admit,
    maxPumpBytes: streamPut === null ? Infinity : FREE_PUMP_BYTES,
    isStoreFar,
    onStored,
    onBroken: (target, upstream, reason) => {
      const { key, mirror } = target;
      upstreams.noteRefused(upstream, target);
      counters.trouble({ at: now(), where: key, kind: "refused", cause: `${upstream}: ${reason}` }, mirror.name);
      retention.count(mirror.name, { refused: 1 });
      log(`Refused ${key} from ${upstream}: ${reason}`);
    },
    onUnstored,
  };
  const fills = createFills(pump);
  const native =
    streamPut &&
    createNativeStore({
      admit: retention.admit,
      // Past the cache, which would give the object that lay there before to the next clients; also after a failure, since it may have been stored.
      put: async (key, ...rest) => {
        try {
          await streamPut(key, ...rest);
        } finally {
          await store.noteChanged?.(key);
        }
      },
      now,
      onStored: (target, object) => {
        retention.noteStored(target.key, object);
        onStored(target, object);
      },
      onUnstored,
    });
  const onRotten = (key: string, reason: string) => counters.rotten(shardOf(key), key, reason, now());
  const condemned = { store, taint: leases.taint, onRotten, log };
  // `bareStore` reports nothing to the ledger: it is for the ledger itself.
  return {
    config,
    store,
    bareStore,
    retention,
    upstreams,
    via,
    leases,
    fills,
    /** Stores what the operator sends. */
    giveBody: createGivenBodies(pump),
    native,
    /** Where stored files are checked before they are sent. */
    room: createRoom(isLocal ? LOCAL_CHECK_BYTES : EDGE_CHECK_BYTES),
    condemn: (key: string, object: StoredObject, reason: string) => condemn(condemned, key, object, reason),
    createDigest: createStreamDigest,
    now,
    log,
  };
}
