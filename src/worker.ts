import { waitUntil } from "cloudflare:workers";
import { createApp } from "./app.ts";
import { batchLines } from "./watch/batch-lines.ts";
import { composeCore, type Core } from "./compose.ts";
import type { Config } from "./config/config.ts";
import { parseConfig } from "./config/parse-config.ts";
import { createLeases, type FillCoordinator } from "./fill/flight/fill-coordinator.ts";
import { progressOf } from "./fill/shared/fill.ts";
import { handle, refuseClient, type HandlerDependencies } from "./handle.ts";
import { createRepositories } from "./metadata/create-repositories.ts";
import { createPublishedDigests } from "./metadata/digests/published-digests.ts";
import { rememberTables, type LookUp } from "./metadata/digests/remember-tables.ts";
import { RepositoryObjectBase, type RepositoryObjectDependencies } from "./metadata/repository-object.ts";
import { observe } from "./watch/observe.ts";
import { BOOK_SHARD, shardOf } from "./retention/batch.ts";
import { createLedgerPort, LedgerObjectBase, type LedgerObjectDependencies } from "./retention/ledger-object.ts";
import type { RootStanding } from "./watch/root-standing.ts";
import { createConfirmations } from "./serve/shared/confirmations.ts";
import { createEnsureStored } from "./fill/ensure-stored.ts";
import { refuse } from "./serve/answer/failure.ts";
import { createCounters, tallyOf } from "./watch/counters.ts";
import { createDiskStore } from "./store/disk-store.ts";
import { createEdgeCacheStore } from "./store/edge-cache-store.ts";
import type { ObjectStore } from "./store/object-store.ts";
import { createR2Store, createR2StreamPut } from "./store/r2-store.ts";

export { FillCoordinator } from "./fill/flight/fill-coordinator.ts";

interface Env {
  readonly BUCKET?: R2Bucket;
  /** The state folder's store on one machine, in place of the bucket. */
  readonly DISK?: Fetcher;
  /** The way to upstreams on one machine. */
  readonly NETWORK?: Fetcher;
  /** Names this deployment of the Worker, at the edge. */
  readonly CF_VERSION_METADATA?: WorkerVersionMetadata;
  readonly FLIGHTS: DurableObjectNamespace<FillCoordinator>;
  readonly REPOSITORIES: DurableObjectNamespace<RepositoryObject>;
  readonly LEDGER: DurableObjectNamespace<LedgerObject>;
  /** Lets the operator's verbs in; without it there are none. */
  readonly ADMIN_TOKEN?: string;
  /** A limit of requests by client address, at the edge. */
  readonly RATE_LIMIT?: RateLimit;
  /** Set on one machine. */
  readonly LOCAL?: boolean;
  readonly LOG?: "lines" | "off";
  /** The machine's own names and addresses, on one machine. */
  readonly OWN_HOSTS?: readonly string[];
}

/** What this isolate has seen. */
const counters = createCounters();

/** Built once per isolate: the environment does not change under it. */
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
    // RFC 9110 §6.6.1: who has a clock sends Date. At the edge Cloudflare does; workerd does not.
    if (handler.isLocal) response.headers.set("Date", new Date().toUTCString());
    return response;
  },
  /** Cron: one bounded run of the ledger's housekeeping; the next goes on where it stopped. */
  async scheduled(_controller, env): Promise<void> {
    await ledgerStub(env, BOOK_SHARD).sweepAll();
  },
} satisfies ExportedHandler<Env>;

/** The Durable Object of a repository; named by its mirror alone, the directory of that mirror's digest tables. */
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

/** What a published generation names is evicted last. Best effort: the next generation tells it again. */
async function nameInLedger(env: Env, repository: string, keys: readonly string[]): Promise<void> {
  try {
    await ledgerStub(env, BOOK_SHARD).nameKeys(repository, keys);
  } catch (error) {
    console.warn(`Cannot tell the ledger what ${repository} names: ${String(error)}`);
  }
}

/** How a root stands, for the status page. Best effort: the next change tells it again. */
async function standInLedger(env: Env, mirror: string, root: string, standing: RootStanding | null): Promise<void> {
  try {
    await ledgerStub(env, BOOK_SHARD).stand(mirror, root, standing);
  } catch (error) {
    console.warn(`Cannot tell the ledger how ${mirror}/${root} stands: ${String(error)}`);
  }
}

function ledgerStub({ LEDGER }: Env, name: string): DurableObjectStub<LedgerObject> {
  return LEDGER.get(LEDGER.idFromName(name));
}

function repositoryStub({ REPOSITORIES }: Env, name: string): DurableObjectStub<RepositoryObject> {
  return REPOSITORIES.get(REPOSITORIES.idFromName(name));
}

function lookUpTables(env: Env, { metadataTtlSeconds }: Config): LookUp {
  return rememberTables({
    listings: (mirror) => repositoryStub(env, mirror).listings(),
    lookUp: (mirror, path, waitMs) => repositoryStub(env, mirror).lookUp(path, waitMs),
    ttlMs: metadataTtlSeconds * 1_000,
    now: () => Date.now(),
  });
}

class ConfigError extends Error {}

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
    ledger: createLedgerPort((name) => ledgerStub(env, name)),
    cached: (bare) => (env.DISK === undefined ? edgeCached(bare, parsed.config, env) : bare),
    streamPut: env.DISK === undefined && parsed.config.plan === "free" ? createR2StreamPut(env.BUCKET as R2Bucket) : null,
    waitUntil,
    log,
    observer: observe(counters),
  });
}

/** Cached slices of one request: the Cache API takes 50 calls of a request on the free plan and 1,000 on the paid one, two for a slice. */
const MAX_CACHED_SLICES = { free: 12, paid: 400 } as const;

/** A longer METADATA_TTL does not keep a purge waiting longer than this. */
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

function buildHandler({ config, store, upstreams, via, leases, fills, native, retention, now, log }: Core, env: Env): HandlerDependencies {
  const ownHosts = env.OWN_HOSTS ?? [];
  const client = { isLocal: env.LOCAL === true, ...(env.RATE_LIMIT === undefined ? {} : { limit: limitBy(env.RATE_LIMIT) }) };
  const repositories = createRepositories({
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
    publishedDigests: config.verify === "index" ? createPublishedDigests({ store, lookUp: lookUpTables(env, config) }) : null,
  });
  const write = (text: string): void => console.log(text);
  const sleep = (ms: number): Promise<void> => scheduler.wait(ms);
  const writeLine = client.isLocal ? batchLines({ write, now, sleep, waitUntil }) : write;
  const confirmations = createConfirmations();
  const book = () => ledgerStub(env, BOOK_SHARD);
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
      pages: {
        isLocal: client.isLocal,
        status: {
          counters,
          mirrors: [...config.mirrors.keys()],
          budget: config.budgetBytes,
          now,
          fills: () => fills.list().map(progressOf),
          upstreams: upstreams.snapshot,
          storage: async () => {
            // What happened a moment ago is to be seen too.
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
      },
      links: { repositories, refuseClient: (request, mirror) => refuseClient(request, mirror, client) },
    }),
    ...client,
    via,
    ownHosts,
    logRequest: (record) => {
      counters.answered(record, now());
      if (record.mirror !== null) retention.count(record.mirror, tallyOf(record));
      if (env.LOG !== "off") writeLine(JSON.stringify(record));
    },
  };
}

function limitBy(binding: RateLimit): (address: string) => Promise<boolean> {
  return async (key) => (await binding.limit({ key })).success;
}
