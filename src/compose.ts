import type { Config } from "./config/config.ts";
import { createFills, type Fills } from "./fill/fills.ts";
import { createMemory } from "./fill/shared/memory.ts";
import { createNativeStore, FREE_PUMP_BYTES, type NativeStore, type StreamPut } from "./fill/native-store.ts";
import type { Leases } from "./fill/flight/leases.ts";
import { createStreamDigest } from "./fill/pump/stream-digest.ts";
import { classifyKeys } from "./retention/classify-keys.ts";
import { createRetention, type LedgerPort, type Retention } from "./retention/retention.ts";
import type { ObjectStore } from "./store/object-store.ts";
import { createUpstreams, type MonitoredUpstreams } from "./upstream/create-upstreams.ts";
import type { Timer } from "./upstream/timer.ts";
import { createVia, type Via } from "./upstream/via.ts";
import type { Observer } from "./watch/observe.ts";

/** Bytes in fills at once: at the edge an isolate has 128 MB for everything. */
const EDGE_FILL_BYTES = 64 * 1024 * 1024;
const LOCAL_FILL_BYTES = 512 * 1024 * 1024;
const VERSION = "0.1.0";

/** What requests and Durable Objects of one isolate share: plain data and ports, no request's streams. */
export interface Core {
  readonly config: Config;
  /** Tells the ledger of what is stored and deleted. */
  readonly store: ObjectStore;
  /** The same without telling: the ledger's own. */
  readonly bareStore: ObjectStore;
  readonly retention: Retention;
  readonly upstreams: MonitoredUpstreams;
  readonly via: Via;
  readonly leases: Leases;
  readonly fills: Fills;
  readonly native: NativeStore | null;
  readonly now: () => number;
  readonly log: (message: string) => void;
}

export interface CoreOptions {
  readonly isLocal: boolean;
  /** Asks upstreams. */
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  readonly ledger: LedgerPort;
  /** Puts a cache in front of the store, where there is one. */
  readonly cached: (store: ObjectStore) => ObjectStore;
  /** Set where the Worker's CPU is short: writes a body as the platform moves it. */
  readonly streamPut: StreamPut | null;
  readonly waitUntil: (work: Promise<unknown>) => void;
  readonly log: Core["log"];
  /** Whoever counts what happens; costs no I/O. */
  readonly observer: Observer;
}

/** Puts the parts together over a store and the coordinators of single flight. */
export function composeCore(
  config: Config,
  bareStore: ObjectStore,
  leases: Leases,
  { isLocal, fetch, ledger, cached, streamPut, waitUntil, log, observer }: CoreOptions,
): Core {
  const now = () => Date.now();
  const budget = config.budgetBytes;
  const retention = createRetention({ ledger, budget, classOf: classifyKeys(config), now, sleep, waitUntil, log });
  const store = cached(retention.watch(bareStore));
  const via = createVia(config);
  const upstreams = createUpstreams({
    config,
    via,
    version: VERSION,
    fetch,
    now,
    random: Math.random,
    after,
    onEvent: (event) => {
      observer.upstreamEvent(event);
      log(JSON.stringify(event));
    },
  });
  const onStored: Observer["stored"] = (target, object) => {
    observer.stored(target, object);
    retention.count(target.mirror.name, { fetched: object.size });
  };
  const onUnstored = (key: string, reason: string) => log(`Passed ${key} on unstored: ${reason}`);
  const fills = createFills({
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
    onStored,
    onBroken: (target, upstream, reason) => {
      observer.refused(target, upstream, reason);
      retention.count(target.mirror.name, { refused: 1 });
      log(`Refused ${target.key} from ${upstream}: ${reason}`);
    },
    onUnstored,
  });
  /** Told to the ledger as every other write is. */
  const putTold =
    (put: StreamPut): StreamPut =>
    (key, object, body) =>
      retention.watch({ ...bareStore, put: () => put(key, object, body) }).put(key, object, EMPTY);
  const native = streamPut && createNativeStore({ admit: retention.admit, put: putTold(streamPut), now, onStored, onUnstored });
  return { config, store, bareStore, retention, upstreams, via, leases, fills, native, now, log };
}

const EMPTY = new Uint8Array(0);

const after: Timer = (ms, run) => {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
};

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
