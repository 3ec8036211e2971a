import { exports, waitUntil, WorkerEntrypoint } from "cloudflare:workers";
import { sleep } from "./clock/timer.ts";
import { asRequest } from "./clock/signal.ts";
import { composeCaches, composeHot, headTtlMs } from "./compose-caches.ts";
import { composeHandler } from "./compose-handler.ts";
import { composeCore, type Core } from "./compose.ts";
import { type Config, type Jurisdiction, type Location } from "./config/config.ts";
import { ConfigError, readConfig } from "./config/read-config.ts";
import { createEnsureStored } from "./fill/ensure-stored.ts";
import { createLeases, type FillCoordinator } from "./fill/flight/fill-coordinator.ts";
import { type Region, regionOf } from "./fill/flight/regions.ts";
import { handle, type HandlerDependencies } from "./handle.ts";
import { placeObject } from "./place-object.ts";
import { RepositoryObjectBase, type RepositoryObjectDependencies } from "./metadata/repository-object.ts";
import { allowanceOf, LOCAL_SCRUB_BYTES } from "./retention/allowance.ts";
import { BOOK_SHARD } from "./retention/batch.ts";
import { type Leftovers, NO_START } from "./retention/catch-up.ts";
import { LedgerObjectBase, type LedgerObjectDependencies } from "./retention/ledger-object.ts";
import { refuse } from "./serve/answer/failure.ts";
import { nameDamaged } from "./store/disk-meta.ts";
import { createDiskStore, type DiskStoreOptions } from "./store/disk-store.ts";
import type { EdgeCacheStore } from "./store/edge-cache-store.ts";
import type { ObjectStore } from "./store/object-store.ts";
import { suspectsOf } from "./store/power-cut.ts";
import { createR2Store, createR2StreamPut, type R2Store } from "./store/r2-store.ts";
import { answerStoredBytes } from "./store/stored-bytes.ts";
import type { CachedEntrypoint } from "./store/workers-cache.ts";
import { createLocalFetch } from "./upstream/gateway-fetch.ts";
import { createCounters } from "./watch/counters.ts";
import { limitLines } from "./watch/limit-lines.ts";
import { type ReadingWatch, type SetAside, watchReadings } from "./watch/readings.ts";
import { writeLog } from "./watch/write-log.ts";

export { FillCoordinator } from "./fill/flight/fill-coordinator.ts";

interface Env {
  readonly BUCKET?: R2Bucket;
  /** The state folder's store on one machine, in place of the bucket. */
  readonly DISK?: Fetcher;
  /** Fetches from upstreams, on one machine. */
  readonly NETWORK?: Fetcher;
  /** The gateway in the parent process (local/gateway), on one machine, where it is needed. */
  readonly GATEWAY?: Fetcher;
  /** Whether upstreams are reached by a proxy, through the gateway, on one machine. */
  readonly PROXIED?: boolean;
  /** Identifies this deployment of the Worker, at the edge. */
  readonly CF_VERSION_METADATA?: WorkerVersionMetadata;
  readonly FLIGHTS: DurableObjectNamespace<FillCoordinator>;
  readonly REPOSITORIES: DurableObjectNamespace<RepositoryObject>;
  readonly LEDGER: DurableObjectNamespace<LedgerObject>;
  /** The operator's commands and status pages need it; without it there are none. READ_TOKEN opens only the pages, for monitoring. */
  readonly ADMIN_TOKEN?: string;
  readonly READ_TOKEN?: string;
  /** Limits the requests of one client address, at the edge. */
  readonly RATE_LIMIT?: RateLimit;
  /** Where Durable Objects are to lie; parseConfig has checked both. */
  readonly LOCATION?: Location;
  readonly JURISDICTION?: Jurisdiction;
  /** Set on one machine. */
  readonly LOCAL?: boolean;
  /** What the state folder held when the server started, and the bytes that fit on its disk; on one machine. */
  readonly START?: Leftovers & { readonly room: number };
  /** Bytes of memory that the machine has, on one machine. */
  readonly RAM?: number;
  /** The machine's own names and addresses, on one machine. */
  readonly OWN_HOSTS?: readonly string[];
  /** What the parent process wants not to be read for now, on one machine. */
  readonly SET_ASIDE?: readonly SetAside[];
  /** When files were written that power cuts may have spoiled (store/power-cut.ts), on one machine. */
  readonly SUSPECTS?: unknown;
}

/** Each goes over 2,500 objects of each mirror. */
const MAX_RUNS_AFTER_START = 4_000;

/** Counts what this isolate does, for status page and metrics. */
const counters = createCounters();

/** At the edge each line of the log is billed, or counts against the free plan's limit of a day. */
const writeLimited = limitLines(writeLog, { now: Date.now, answers: counters.answers });
/** Repositories write a line when something changes upstream, not for each request: only the limit of a kind holds for them. */
const writeOfRepositories = limitLines(writeLog, { now: Date.now, answers: null });

/** Built once for each isolate, whose environment never changes. */
let core: Core | undefined;
let handler: HandlerDependencies | undefined;
let readings: ReadingWatch | undefined;
let hot: ReturnType<typeof composeHot> | undefined;
/** Where this isolate runs, by its first request that says so; null: none has. */
let region: Region = null;
/** The bucket's store, which the inner entrypoint reads as well. */
let r2: R2Store | undefined;
/** The host of the first request; an isolate that only runs Durable Objects has none. */
let firstHost: string | undefined;

export default {
  async fetch(request, env, ctx): Promise<Response> {
    if (env.LOCAL !== true) region ??= regionOf(request.cf);
    try {
      handler ??= buildHandler((core ??= buildCore(env)), env);
    } catch (error) {
      if (error instanceof ConfigError) return refuse(500, error.message);
      throw error;
    }
    // On one machine a URL may be no more than the raw request target.
    if (!handler.isLocal) firstHost ??= new URL(request.url).host;
    const dependencies = handler;
    return asRequest(() => handle(request, dependencies, (work) => ctx.waitUntil(work)));
  },
  /** Cron: one bounded run of the ledger's housekeeping; the next run goes on where it stopped. After a start: as many as find all that was left behind. */
  async scheduled(_controller, env): Promise<void> {
    const book = ledgerStub(env, BOOK_SHARD);
    for (let runs = 0; runs < MAX_RUNS_AFTER_START; runs++) {
      await book.sweepAll();
      if (await book.isCaughtUp()) return;
    }
  },
} satisfies ExportedHandler<Env>;

/**
 * Answers this Worker's own calls with stored bytes, Workers Cache in front of it: wrangler.toml enables it for this entrypoint alone. No route leads here,
 * so that no client reaches it; who may read what was decided before the call.
 */
export class StoredBytes extends WorkerEntrypoint<Env> {
  override fetch(request: Request): Promise<Response> {
    return answerStoredBytes(request, (r2 ??= createR2Store(this.env.BUCKET as R2Bucket)));
  }
}

/** The Durable Object of one repository; the one that has only a mirror's name is the directory of that mirror's digest tables. */
export class RepositoryObject extends RepositoryObjectBase<Env> {
  protected override dependencies(): RepositoryObjectDependencies {
    const { config, store, upstreams, fills, leases, retention, createDigest } = (core ??= buildCore(this.env));
    const name = this.ctx.id.name ?? "";
    const keepAlive = (work: Promise<unknown>): void => this.ctx.waitUntil(work);
    const ensureStored = createEnsureStored(fills, store, keepAlive);
    return {
      config,
      store,
      upstreams,
      createDigest,
      ensureStored: (...asked) => asRequest(() => ensureStored(...asked)),
      log: this.env.LOCAL === true ? writeLog : writeOfRepositories,
      onPublished: (keys) => keepAlive(report(this.env, `what ${name} names`, (book) => book.nameKeys(name, keys))),
      onStanding: (mirror, root, standing) =>
        keepAlive(report(this.env, `how ${mirror}/${root} stands`, (book) => book.stand(mirror, root, standing))),
      onProtection: (mirror, root, protection) =>
        keepAlive(
          report(this.env, `whether packages of ${mirror}/${root} are bound to digests`, (book) => book.protect(mirror, root, protection)),
        ),
      taint: leases.taint,
      // One machine has no cache in front of its store.
      headTtlMs: this.env.DISK === undefined ? headTtlMs(config) : 0,
      rememberMs: this.env.LOCAL === true ? 0 : MAX_REMEMBER_MS,
      readings: (readings ??= buildReadings(this.env)),
      directory: (mirror) => repositoryStub(this.env, mirror),
      rows: (mirror) => {
        const ledger = ledgerStub(this.env, mirror);
        // What this isolate stored a moment ago is still in its batch.
        const current = async (): Promise<DurableObjectStub<LedgerObject>> => (await retention.flush(), ledger);
        return {
          page: async (prefix, after, limit) => (await current()).rowsFrom(prefix, after, limit),
          pick: async (keys) => (await current()).rowsOf(keys),
        };
      },
    };
  }
}

/** The ledger of a mirror's objects. */
export class LedgerObject extends LedgerObjectBase<Env> {
  protected override dependencies(): LedgerObjectDependencies {
    const { config, bareStore, createDigest, condemn, log } = (core ??= buildCore(this.env));
    const { LOCAL, START = NO_START } = this.env;
    return {
      config,
      store: bareStore,
      ledger: (name) => ledgerStub(this.env, name),
      retire: (name) => {
        const slash = name.indexOf("/");
        return repositoryStub(this.env, name).retire(name.slice(0, slash), name.slice(slash + 1));
      },
      scrubBytesPerSecond: config.scrubBytesPerSecond ?? (LOCAL === true ? LOCAL_SCRUB_BYTES : 0),
      createDigest,
      condemn,
      log,
      leftovers: START,
      allowance: LOCAL === true ? null : allowanceOf(config.plan),
    };
  }
}

/** Best effort: the next generation, or the next change, is reported again. */
async function report(env: Env, what: string, call: (book: DurableObjectStub<LedgerObject>) => Promise<void>): Promise<void> {
  try {
    await call(ledgerStub(env, BOOK_SHARD));
  } catch (error) {
    logOf(env)("warn", `Cannot report to the ledger ${what}: ${String(error)}`);
  }
}

function logOf({ LOCAL }: Env): typeof writeLog {
  return LOCAL === true ? writeLog : writeLimited;
}

function ledgerStub({ LEDGER, LOCATION, JURISDICTION }: Env, name: string): DurableObjectStub<LedgerObject> {
  return placeObject(LEDGER, name, { location: LOCATION, jurisdiction: JURISDICTION });
}

function repositoryStub({ REPOSITORIES, LOCATION, JURISDICTION }: Env, name: string): DurableObjectStub<RepositoryObject> {
  return placeObject(REPOSITORIES, name, { location: LOCATION, jurisdiction: JURISDICTION });
}

/** What requests and Durable Objects of this isolate share. Throws ConfigError. */
function buildCore(env: Env): Core {
  const {
    LOCAL,
    CF_VERSION_METADATA: _version,
    OWN_HOSTS: _own,
    ADMIN_TOKEN: _token,
    READ_TOKEN: _readToken,
    START,
    SET_ASIDE: _aside,
    SUSPECTS: suspects,
    RAM: _ram,
    PROXIED = false,
    ...vars
  } = env;
  const wanted = readConfig(vars, LOCAL === true);
  const log = (message: string) => logOf(env)("warn", message);
  const remote = env.DISK === undefined ? (r2 ??= createR2Store(env.BUCKET as R2Bucket)) : null;
  const disk = { onDamaged: nameDamaged(log), isSuspect: suspectsOf(suspects, Date.now) };
  const store = remote ?? createDiskStore(env.DISK as Fetcher, disk);
  const leases = createLeases(env.FLIGHTS, {
    onError: (error) => log(`A fill's coordinator failed: ${String(error)}`),
    isLocal: LOCAL === true,
    jurisdiction: env.JURISDICTION,
    // A Durable Object's isolate that has had no request lies where LOCATION says.
    region: () => region ?? env.LOCATION ?? null,
  });
  // A disk may have less room than the configuration allows.
  const config = { ...wanted, budgetBytes: Math.min(wanted.budgetBytes, START?.room ?? Infinity) };
  return composeCore(config, store, leases, {
    isLocal: LOCAL === true,
    isStoreFar: remote !== null,
    fetch: env.NETWORK === undefined ? (url, init) => fetch(url, init) : createLocalFetch(env.NETWORK, env.GATEWAY, PROXIED),
    ledger: (name) => ledgerStub(env, name),
    cached: (bare) => (remote === null ? heatAtHome(bare, disk, env, config) : cacheAtEdge(bare, remote, env, config)),
    streamPut: env.DISK === undefined && config.plan === "free" ? createR2StreamPut(env.BUCKET as R2Bucket) : null,
    waitUntil,
    log,
    counters,
  });
}

/** The state folder's store with bodies in memory. The ledger reads the store behind it: its scrub compares what lies on the disk. */
function heatAtHome(store: ObjectStore, options: DiskStoreOptions, { DISK, RAM }: Env, config: Config): ObjectStore {
  hot = composeHot(config, RAM);
  return { ...store, get: createDiskStore(DISK as Fetcher, { ...options, hot }).get };
}

/** The bucket's store behind the edge's caches. */
function cacheAtEdge(store: ObjectStore, { openSlice }: R2Store, env: Env, config: Config): EdgeCacheStore {
  const { StoredBytes: entrypoint } = exports as { readonly StoredBytes?: CachedEntrypoint };
  return composeCaches(store, config, {
    cache: caches.default,
    entrypoint,
    firstHost: () => firstHost,
    deployment: env.CF_VERSION_METADATA?.id ?? "",
    openSlice,
    waitUntil,
  });
}

/** At the edge a call of a Durable Object is billed, and its answer may come from far away; on one machine it costs no more than memory would. */
const MAX_REMEMBER_MS = 60_000;

function buildHandler(shared: Core, env: Env): HandlerDependencies {
  const { RATE_LIMIT } = env;
  return composeHandler(shared, {
    isLocal: env.LOCAL === true,
    token: env.ADMIN_TOKEN,
    readToken: env.READ_TOKEN,
    ownHosts: env.OWN_HOSTS ?? [],
    limit: RATE_LIMIT && (async (key) => (await RATE_LIMIT.limit({ key })).success),
    logMode: shared.config.log ?? (env.LOCAL === true ? "lines" : "sampled"),
    setAside: env.SET_ASIDE ?? [],
    ledger: (name) => ledgerStub(env, name),
    repository: (name) => repositoryStub(env, name),
    counters,
    hot: () => hot?.figures() ?? null,
    waitUntil,
  });
}

/** Tells the parent process, which watches over this one, what is being read (watch/readings.ts). At the edge there is no parent. */
function buildReadings({ LOCAL, SET_ASIDE = [] }: Env): ReadingWatch {
  return watchReadings({ setAside: SET_ASIDE, now: Date.now, sleep, say: LOCAL === true ? (line) => console.log(line) : null });
}
