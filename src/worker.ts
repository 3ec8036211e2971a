import { waitUntil } from "cloudflare:workers";
import { createApp, type SiteDependencies } from "./app.ts";
import { elapsedMs } from "./clock/elapsed.ts";
import { sleep, systemTimer } from "./clock/timer.ts";
import { composeCore, type Core } from "./compose.ts";
import { parseConfig } from "./config/parse-config.ts";
import { createEnsureStored } from "./fill/ensure-stored.ts";
import { createLeases, type FillCoordinator } from "./fill/flight/fill-coordinator.ts";
import { progressOf } from "./fill/shared/fill.ts";
import { handle, refuseClient, type HandlerDependencies } from "./handle.ts";
import { createRepositories } from "./metadata/create-repositories.ts";
import { createKnownRepositories } from "./metadata/known-repositories.ts";
import { createPublishedDigests } from "./metadata/digests/published-digests.ts";
import { createTableReader } from "./metadata/digests/read-table.ts";
import { rememberTables } from "./metadata/digests/remember-tables.ts";
import { RepositoryObjectBase, type RepositoryObjectDependencies } from "./metadata/repository-object.ts";
import { BOOK_SHARD, quotasOf, shardOf } from "./retention/batch.ts";
import { type Leftovers, NO_START } from "./retention/catch-up.ts";
import { LedgerObjectBase, type LedgerObjectDependencies } from "./retention/ledger-object.ts";
import { refuse } from "./serve/answer/failure.ts";
import { createConfirmations } from "./serve/shared/confirmations.ts";
import { nameDamaged } from "./store/disk-meta.ts";
import { createDiskStore } from "./store/disk-store.ts";
import { createEdgeCacheStore } from "./store/edge-cache-store.ts";
import { suspectsOf } from "./store/power-cut.ts";
import { createR2Store, createR2StreamPut } from "./store/r2-store.ts";
import { createCounters, tallyOf } from "./watch/counters.ts";
import { createFailedLogins } from "./watch/failed-logins.ts";
import { type ReadingWatch, type SetAside, watchReadings } from "./watch/readings.ts";
import { createRecordWriter, writeLog } from "./watch/write-log.ts";

export { FillCoordinator } from "./fill/flight/fill-coordinator.ts";

interface Env {
  readonly BUCKET?: R2Bucket;
  /** The state folder's store on one machine, in place of the bucket. */
  readonly DISK?: Fetcher;
  /** Fetches from upstreams, on one machine. */
  readonly NETWORK?: Fetcher;
  /** Identifies this deployment of the Worker, at the edge. */
  readonly CF_VERSION_METADATA?: WorkerVersionMetadata;
  readonly FLIGHTS: DurableObjectNamespace<FillCoordinator>;
  readonly REPOSITORIES: DurableObjectNamespace<RepositoryObject>;
  readonly LEDGER: DurableObjectNamespace<LedgerObject>;
  /** The operator's commands and status pages need it; without it there are none. */
  readonly ADMIN_TOKEN?: string;
  /** Limits the requests of one client address, at the edge. */
  readonly RATE_LIMIT?: RateLimit;
  /** Set on one machine. */
  readonly LOCAL?: boolean;
  /** What the state folder held when the server started, and the bytes that fit on its disk; on one machine. */
  readonly START?: Leftovers & { readonly room: number };
  /** Whether each request is a line in the log; default: it is. */
  readonly LOG?: "lines" | "off";
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

/** Built once for each isolate, whose environment never changes. */
let core: Core | undefined;
let handler: HandlerDependencies | undefined;
let readings: ReadingWatch | undefined;

export default {
  async fetch(request, env, ctx): Promise<Response> {
    try {
      handler ??= buildHandler((core ??= buildCore(env)), env);
    } catch (error) {
      if (error instanceof ConfigError) return refuse(500, error.message);
      throw error;
    }
    const response = await handle(request, handler, (work) => ctx.waitUntil(work));
    // RFC 9110 §6.6.1: a server with a clock sends Date. At the edge Cloudflare adds it; on one machine workerd does not.
    if (handler.isLocal) response.headers.set("Date", new Date().toUTCString());
    return response;
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

/** The Durable Object of one repository; the one that has only a mirror's name is the directory of that mirror's digest tables. */
export class RepositoryObject extends RepositoryObjectBase<Env> {
  protected override dependencies(): RepositoryObjectDependencies {
    const { config, store, upstreams, fills, leases, retention, createDigest } = (core ??= buildCore(this.env));
    const name = this.ctx.id.name ?? "";
    const keepAlive = (work: Promise<unknown>): void => this.ctx.waitUntil(work);
    return {
      config,
      store,
      upstreams,
      createDigest,
      ensureStored: createEnsureStored(fills, store, keepAlive),
      log: writeLog,
      onPublished: (keys) => keepAlive(report(this.env, `what ${name} names`, (book) => book.nameKeys(name, keys))),
      onStanding: (mirror, root, standing) =>
        keepAlive(report(this.env, `how ${mirror}/${root} stands`, (book) => book.stand(mirror, root, standing))),
      onProtection: (mirror, root, protection) =>
        keepAlive(
          report(this.env, `whether packages of ${mirror}/${root} are bound to digests`, (book) => book.protect(mirror, root, protection)),
        ),
      taint: leases.taint,
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
    };
  }
}

/** A second of the scrub on one machine, where reading costs nothing; at the edge R2 bills each read, so that it is off. */
const LOCAL_SCRUB_BYTES = 1024 * 1024;

/** Best effort: the next generation, or the next change, is reported again. */
async function report(env: Env, what: string, call: (book: DurableObjectStub<LedgerObject>) => Promise<void>): Promise<void> {
  try {
    await call(ledgerStub(env, BOOK_SHARD));
  } catch (error) {
    writeLog("warn", `Cannot report to the ledger ${what}: ${String(error)}`);
  }
}

function ledgerStub({ LEDGER }: Env, name: string): DurableObjectStub<LedgerObject> {
  return LEDGER.get(LEDGER.idFromName(name));
}

function repositoryStub({ REPOSITORIES }: Env, name: string): DurableObjectStub<RepositoryObject> {
  return REPOSITORIES.get(REPOSITORIES.idFromName(name));
}

/** The message lists every problem of the configuration; it is the answer to each request until the configuration is mended. */
class ConfigError extends Error {}

/** What requests and Durable Objects of this isolate share. Throws ConfigError. */
function buildCore(env: Env): Core {
  const {
    LOCAL,
    CF_VERSION_METADATA: _version,
    LOG: _log,
    OWN_HOSTS: _own,
    ADMIN_TOKEN: _token,
    START,
    SET_ASIDE: _aside,
    SUSPECTS: suspects,
    ...vars
  } = env;
  const parsed = parseConfig(vars);
  if (!parsed.ok) throw new ConfigError(`Cannot start: [vars] of wrangler.toml has these problems:\n${parsed.problems.join("\n")}`);
  const log = (message: string) => writeLog("warn", message);
  const store =
    env.DISK === undefined
      ? createR2Store(env.BUCKET as R2Bucket)
      : createDiskStore(env.DISK, { onDamaged: nameDamaged(log), isSuspect: suspectsOf(suspects, Date.now) });
  const leases = createLeases(env.FLIGHTS, {
    onError: (error) => log(`A fill's coordinator failed: ${String(error)}`),
    isLocal: LOCAL === true,
  });
  // A disk may have less room than the configuration allows.
  const config = { ...parsed.config, budgetBytes: Math.min(parsed.config.budgetBytes, START?.room ?? Infinity) };
  return composeCore(config, store, leases, {
    isLocal: LOCAL === true,
    fetch: (url, init) => (env.NETWORK ?? globalThis).fetch(url, init),
    ledger: (name) => ledgerStub(env, name),
    cached: (bare) =>
      env.DISK !== undefined
        ? bare
        : createEdgeCacheStore(bare, {
            cache: caches.default,
            namespace: env.CF_VERSION_METADATA?.id ?? "",
            ttlMs: Math.min(config.metadataTtlSeconds * 1_000, MAX_HEAD_TTL_MS),
            maxSlices: MAX_CACHED_SLICES[config.plan],
            now: () => Date.now(),
            waitUntil,
          }),
    streamPut: env.DISK === undefined && config.plan === "free" ? createR2StreamPut(env.BUCKET as R2Bucket) : null,
    waitUntil,
    log,
    counters,
  });
}

/**
 * Slices of one request that the edge cache serves. A slice takes two calls of the Cache API, which allows 50 a request on the free plan and 1,000 on
 * the paid one.
 */
const MAX_CACHED_SLICES = { free: 12, paid: 400 } as const;

/** The edge cache keeps heads for METADATA_TTL, but never longer than this: a purge takes effect within it. */
const MAX_HEAD_TTL_MS = 60_000;

function buildHandler(shared: Core, env: Env): HandlerDependencies {
  const { config, store, upstreams, via, fills, native, retention, room, condemn, now, log } = shared;
  const ownHosts = env.OWN_HOSTS ?? [];
  const { RATE_LIMIT } = env;
  const limit = RATE_LIMIT && (async (key: string) => (await RATE_LIMIT.limit({ key })).success);
  const client = { isLocal: env.LOCAL === true, limit, logins: createFailedLogins({ now, log }) };
  const repositories = buildRepositories(shared, env);
  const confirmations = createConfirmations();
  const { taint } = shared.leases;
  const onUse = retention.use;
  const serve = { config, store, fills, native, upstreams, repositories, confirmations, now, taint, onUse, room, condemn, log };
  // To write a line for each request costs half as much as a hit: on one machine it is done in batches.
  const writeRecord = env.LOG === "off" ? () => {} : createRecordWriter(env.LOCAL === true ? { now, sleep, waitUntil } : null);
  return {
    serve,
    app: createApp({
      config,
      ownHosts,
      operator: {
        token: env.ADMIN_TOKEN,
        logins: client.logins,
        budget: config.budgetBytes,
        retentionDays: config.retentionDays,
        ledger: (name) => ledgerStub(env, name),
        flush: retention.flush,
      },
      pages: buildPages(shared, env, serve),
      links: { repositories, refuseClient: (request, mirror) => refuseClient(request, mirror, client) },
    }),
    ...client,
    isHostRequired: client.isLocal,
    via,
    ownHosts,
    logRequest: (record) => {
      counters.answered(record, now());
      if (record.mirror !== null) retention.count(record.mirror, tallyOf(record));
      writeRecord(record);
    },
  };
}

/** A repository that lost its digest tables is asked for others at most this often. */
const REBUILD_MS = 10_000;
/** Repositories of which that is remembered. */
const MAX_LOST = 1_000;

/** The repositories of all mirrors, each in the Durable Object of its name. */
function buildRepositories(
  { config, store, upstreams, createDigest, retention, now, log }: Core,
  env: Env,
): HandlerDependencies["serve"]["repositories"] {
  const remembered = rememberTables({
    listings: (mirror) => repositoryStub(env, mirror).listings(),
    lookUp: (mirror, path, waitMs) => repositoryStub(env, mirror).lookUp(path, waitMs),
    ttlMs: config.metadataTtlSeconds * 1_000,
    now,
  });
  const tables = createTableReader({ store, onUse: (key) => retention.use(key, 0) });
  const lostAt = new Map<string, number>();
  const onLost = (mirror: string, base: string): void => {
    const name = `${mirror}/${base}`;
    if (elapsedMs(lostAt.get(name) ?? 0, now()) < REBUILD_MS) return;
    if (lostAt.size >= MAX_LOST) lostAt.clear();
    lostAt.set(name, now());
    const asked = repositoryStub(env, name).rebuildTables(mirror, base);
    waitUntil(asked.catch((error: unknown) => log(`Cannot have the digest tables of ${name} built anew: ${String(error)}`)));
  };
  return createRepositories({
    store,
    now,
    known: createKnownRepositories({
      config,
      store,
      upstreams,
      createDigest,
      now,
      timer: systemTimer,
      isPublished: (name) => ledgerStub(env, BOOK_SHARD).isRepository(name),
      waitUntil,
      log,
    }),
    repository: (mirror, base) => repositoryStub(env, `${mirror}/${base}`),
    publishedDigests: config.verify === "index" ? createPublishedDigests({ tables, ...remembered, onLost }) : null,
  });
}

function buildPages({ upstreams, fills, retention }: Core, env: Env, serve: HandlerDependencies["serve"]): SiteDependencies["pages"] {
  const { config, store, repositories, confirmations, now } = serve;
  const book = () => ledgerStub(env, BOOK_SHARD);
  return {
    isLocal: env.LOCAL === true,
    status: {
      counters,
      mirrors: [...config.mirrors.keys()],
      budget: config.budgetBytes,
      quotas: quotasOf(config),
      verify: config.verify,
      now,
      fills: () => fills.list().map(progressOf),
      upstreams: upstreams.snapshot,
      storage: async () => {
        // The page shows what happened a moment ago too, which is still in this isolate's batch.
        await retention.flush();
        return book().view();
      },
      history: () => book().history(),
      repositories: () => book().repositories(),
      setAside: () => env.SET_ASIDE ?? [],
    },
    why: {
      config,
      store,
      repositories,
      checkedAt: confirmations.at,
      now,
      row: (key) => ledgerStub(env, shardOf(key)).row(key),
      nextOut: (limit) => book().next(limit),
    },
  };
}

/** What is read is said to the parent process, which watches over this one. At the edge there is none. */
function buildReadings({ LOCAL, SET_ASIDE = [] }: Env): ReadingWatch {
  return watchReadings({ setAside: SET_ASIDE, now: Date.now, sleep, say: LOCAL === true ? (line) => console.log(line) : null });
}
