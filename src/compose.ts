import type { Config } from "./config/config.ts";
import { createFills, type Fills } from "./fill/fills.ts";
import { createMemory } from "./fill/memory.ts";
import type { Leases } from "./fill/leases.ts";
import { createStreamDigest } from "./fill/stream-digest.ts";
import type { ObjectStore } from "./store/object-store.ts";
import { createUpstreams, type MonitoredUpstreams } from "./upstream/create-upstreams.ts";
import type { Timer } from "./upstream/timer.ts";

/** Bytes in fills at once: at the edge an isolate has 128 MB for everything. */
const EDGE_FILL_BYTES = 64 * 1024 * 1024;
const LOCAL_FILL_BYTES = 512 * 1024 * 1024;
const VERSION = "0.1.0";

/** What requests and Durable Objects of one isolate share: plain data and ports, no request's streams. */
export interface Core {
  readonly config: Config;
  readonly store: ObjectStore;
  readonly upstreams: MonitoredUpstreams;
  readonly leases: Leases;
  readonly fills: Fills;
  readonly now: () => number;
  readonly log: (message: string) => void;
}

/** Puts the parts together over a store and the coordinators of single flight. */
export function composeCore(
  config: Config,
  store: ObjectStore,
  leases: Leases,
  { isLocal, log }: { readonly isLocal: boolean; readonly log: Core["log"] },
): Core {
  const now = () => Date.now();
  const upstreams = createUpstreams({
    config,
    version: VERSION,
    fetch: (url, init) => fetch(url, init),
    now,
    random: Math.random,
    after,
    onEvent: (event) => log(JSON.stringify(event)),
  });
  const fills = createFills({
    config,
    store,
    upstreams,
    leases,
    memory: createMemory(isLocal ? LOCAL_FILL_BYTES : EDGE_FILL_BYTES, sleep),
    now,
    sleep,
    createDigest: createStreamDigest,
    onStored: () => {},
    onBroken: (target, upstream, reason) => log(`Refused ${target.key} from ${upstream}: ${reason}`),
    onUnstored: (key, reason) => log(`Passed ${key} on unstored: ${reason}`),
  });
  return { config, store, upstreams, leases, fills, now, log };
}

const after: Timer = (ms, run) => {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
};

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
