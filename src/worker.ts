import { waitUntil } from "cloudflare:workers";
import { createApp, type SiteDependencies } from "./app.ts";
import { composeCore, type Core } from "./compose.ts";
import type { Config } from "./config/config.ts";
import { parseConfig } from "./config/parse-config.ts";
import { createEnsureStored } from "./fill/ensure-stored.ts";
import { createLeases, type FillCoordinator } from "./fill/flight/fill-coordinator.ts";
import { progressOf } from "./fill/shared/fill.ts";
import { handle, refuseClient, type HandlerDependencies } from "./handle.ts";
import { createRepositories } from "./metadata/create-repositories.ts";
import { createPublishedDigests } from "./metadata/digests/published-digests.ts";
import { rememberTables } from "./metadata/digests/remember-tables.ts";
import { RepositoryObjectBase, type RepositoryObjectDependencies } from "./metadata/repository-object.ts";
import { BOOK_SHARD, shardOf } from "./retention/batch.ts";
import { LedgerObjectBase, type LedgerObjectDependencies } from "./retention/ledger-object.ts";
import { refuse } from "./serve/answer/failure.ts";
import { createConfirmations } from "./serve/shared/confirmations.ts";
import { createDiskStore } from "./store/disk-store.ts";
import { createEdgeCacheStore } from "./store/edge-cache-store.ts";
import type { ObjectStore } from "./store/object-store.ts";
import { createR2Store, createR2StreamPut } from "./store/r2-store.ts";
import { batchLines } from "./watch/batch-lines.ts";
import { createCounters, tallyOf } from "./watch/counters.ts";
import type { RootStanding } from "./watch/history.ts";

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
  /** Whether each request is a line in the log; default: it is. */
  readonly LOG?: "lines" | "off";
  /** The machine's own names and addresses, on one machine. */
  readonly OWN_HOSTS?: readonly string[];
}

/** Counts what this isolate does, for status page and metrics. */
const counters = createCounters();

/** Built once for each isolate, whose environment never changes. */
let core: Core | undefined;
let handler: HandlerDependencies | undefined;

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
  /** Cron: one bounded run of the ledger's housekeeping; the next run goes on where it stopped. */
  async scheduled(_controller, env): Promise<void> {
    await ledgerStub(env, BOOK_SHARD).sweepAll();
  },
} satisfies ExportedHandler<Env>;

/** The Durable Object of one repository; the one that has only a mirror's name is the directory of that mirror's digest tables. */
export class RepositoryObject extends RepositoryObjectBase<Env> {
  protected override dependencies(): RepositoryObjectDependencies {
    const { config, store, upstreams, fills, leases } = (core ??= buildCore(this.env));
    return {
      config,
      store,
      upstreams,
      ensureStored: createEnsureStored(fills, store, (work) => this.ctx.waitUntil(work)),
      log: (level, message) => console[level](message),
      onPublished: (keys) => this.ctx.waitUntil(nameInLedger(this.env, this.ctx.id.name ?? "", keys)),
      onStanding: (...standing) => this.ctx.waitUntil(standInLedger(this.env, ...standing)),
      taint: leases.taint,
      directory: (mirror) => repositoryStub(this.env, mirror),
    };
  }
}

/** The ledger of a mirror's objects. */
export class LedgerObject extends LedgerObjectBase<Env> {
  protected override dependencies(): LedgerObjectDependencies {
    const { config, bareStore, log } = (core ??= buildCore(this.env));
    return { config, store: bareStore, ledger: (name) => ledgerStub(this.env, name), log };
  }
}

/** Retention evicts last what a published generation names. Best effort: the next generation reports all its keys again. */
async function nameInLedger(env: Env, repository: string, keys: readonly string[]): Promise<void> {
  try {
    await ledgerStub(env, BOOK_SHARD).nameKeys(repository, keys);
  } catch (error) {
    console.warn(`Cannot report to the ledger what ${repository} names: ${String(error)}`);
  }
}

/** The status page shows how a root stands. Best effort: the next change is reported again. */
async function standInLedger(env: Env, mirror: string, root: string, standing: RootStanding | null): Promise<void> {
  try {
    await ledgerStub(env, BOOK_SHARD).stand(mirror, root, standing);
  } catch (error) {
    console.warn(`Cannot report to the ledger how ${mirror}/${root} stands: ${String(error)}`);
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
  const { LOCAL, CF_VERSION_METADATA: _version, LOG: _log, OWN_HOSTS: _own, ADMIN_TOKEN: _token, ...vars } = env;
  const parsed = parseConfig(vars);
  if (!parsed.ok) throw new ConfigError(`Cannot start: [vars] of wrangler.toml has these problems:\n${parsed.problems.join("\n")}`);
  const log = (message: string) => console.warn(message);
  const store = env.DISK === undefined ? createR2Store(env.BUCKET as R2Bucket) : createDiskStore(env.DISK);
  const leases = createLeases(env.FLIGHTS, {
    onError: (error) => log(`A fill's coordinator failed: ${String(error)}`),
    isLocal: LOCAL === true,
  });
  return composeCore(parsed.config, store, leases, {
    isLocal: LOCAL === true,
    fetch: (url, init) => (env.NETWORK ?? globalThis).fetch(url, init),
    ledger: (name) => ledgerStub(env, name),
    cached: (bare) => (env.DISK === undefined ? edgeCached(bare, parsed.config, env) : bare),
    streamPut: env.DISK === undefined && parsed.config.plan === "free" ? createR2StreamPut(env.BUCKET as R2Bucket) : null,
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

function edgeCached(store: ObjectStore, { plan, metadataTtlSeconds }: Config, { CF_VERSION_METADATA }: Env): ObjectStore {
  return createEdgeCacheStore(store, {
    cache: caches.default,
    namespace: CF_VERSION_METADATA?.id ?? "",
    ttlMs: Math.min(metadataTtlSeconds * 1_000, MAX_HEAD_TTL_MS),
    maxSlices: MAX_CACHED_SLICES[plan],
    now: () => Date.now(),
    waitUntil,
  });
}

/** What each request needs. */
function buildHandler(shared: Core, env: Env): HandlerDependencies {
  const { config, store, upstreams, via, leases, fills, native, retention, now, log } = shared;
  const ownHosts = env.OWN_HOSTS ?? [];
  const client = { isLocal: env.LOCAL === true, ...(env.RATE_LIMIT === undefined ? {} : { limit: limitBy(env.RATE_LIMIT) }) };
  const repositories = buildRepositories(shared, env);
  const confirmations = createConfirmations();
  const writeRecord = buildRecordWriter(shared, env);
  return {
    serve: { config, store, fills, native, upstreams, repositories, confirmations, now, taint: leases.taint, onUse: retention.use, log },
    app: createApp({
      config,
      ownHosts,
      operator: {
        token: env.ADMIN_TOKEN,
        budget: config.budgetBytes,
        retentionDays: config.retentionDays,
        ledger: (name) => ledgerStub(env, name),
        flush: retention.flush,
      },
      pages: buildPages(shared, env, { repositories, confirmations }),
      links: { repositories, refuseClient: (request, mirror) => refuseClient(request, mirror, client) },
    }),
    ...client,
    via,
    ownHosts,
    logRequest: (record) => {
      counters.answered(record, now());
      if (record.mirror !== null) retention.count(record.mirror, tallyOf(record));
      writeRecord(record);
    },
  };
}

/** The repositories of all mirrors, each in the Durable Object of its name. */
function buildRepositories({ config, store, now }: Core, env: Env): HandlerDependencies["serve"]["repositories"] {
  const lookUp = rememberTables({
    listings: (mirror) => repositoryStub(env, mirror).listings(),
    lookUp: (mirror, path, waitMs) => repositoryStub(env, mirror).lookUp(path, waitMs),
    ttlMs: config.metadataTtlSeconds * 1_000,
    now,
  });
  return createRepositories({
    store,
    now,
    repository: (mirror, base) => {
      const stub = repositoryStub(env, `${mirror}/${base}`);
      return {
        resolve: (path, place, lost) => stub.resolve(mirror, path, place, lost),
        expectation: (path, place) => stub.expectation(mirror, path, place),
        rootDigest: (path, place) => stub.rootDigest(mirror, path, place),
      };
    },
    publishedDigests: config.verify === "index" ? createPublishedDigests({ store, lookUp }) : null,
  });
}

/** The sources of the operator's pages. */
function buildPages(
  { config, store, upstreams, fills, retention, now }: Core,
  env: Env,
  { repositories, confirmations }: Pick<HandlerDependencies["serve"], "repositories" | "confirmations">,
): SiteDependencies["pages"] {
  const book = () => ledgerStub(env, BOOK_SHARD);
  return {
    isLocal: env.LOCAL === true,
    status: {
      counters,
      mirrors: [...config.mirrors.keys()],
      budget: config.budgetBytes,
      now,
      fills: () => fills.list().map(progressOf),
      upstreams: upstreams.snapshot,
      storage: async () => {
        // The page shows what happened a moment ago too, which is still in this isolate's batch.
        await retention.flush();
        return book().view();
      },
      history: () => book().history(),
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

/** Writes one line for each request, in batches on one machine. */
function buildRecordWriter({ now }: Core, { LOCAL, LOG }: Env): HandlerDependencies["logRequest"] {
  if (LOG === "off") return () => {};
  const write = (text: string): void => console.log(text);
  const sleep = (ms: number): Promise<void> => scheduler.wait(ms);
  const writeLine = LOCAL === true ? batchLines({ write, now, sleep, waitUntil }) : write;
  return (record) => writeLine(JSON.stringify(record));
}

function limitBy(binding: RateLimit): (address: string) => Promise<boolean> {
  return async (key) => (await binding.limit({ key })).success;
}
