import { systemTimer } from "../../src/clock/timer.ts";
import { asRequest } from "../../src/clock/signal.ts";
import { composeCore } from "../../src/compose.ts";
import { parseConfig } from "../../src/config/parse-config.ts";
import { createEnsureStored } from "../../src/fill/ensure-stored.ts";
import { createLeases, FillCoordinator } from "../../src/fill/flight/fill-coordinator.ts";
import type { Region } from "../../src/fill/flight/regions.ts";
import { handle, type HandlerDependencies } from "../../src/handle.ts";
import { createRepositories } from "../../src/metadata/create-repositories.ts";
import { createKnownRepositories } from "../../src/metadata/known-repositories.ts";
import { createPublishedDigests } from "../../src/metadata/digests/published-digests.ts";
import { createTableReader } from "../../src/metadata/digests/read-table.ts";
import { rememberTables } from "../../src/metadata/digests/remember-tables.ts";
import type { StoredRows } from "../../src/metadata/ports/stored-rows.ts";
import { RepositoryObjectBase, type RepositoryObjectDependencies } from "../../src/metadata/repository-object.ts";
import { createReadyHeads } from "../../src/serve/answer/ready-heads.ts";
import { createConfirmations } from "../../src/serve/shared/confirmations.ts";
import { createCounters } from "../../src/watch/counters.ts";
import { placeOf } from "../../src/route/place.ts";
import type { ObjectStore } from "../../src/store/object-store.ts";
import { createByteStore } from "../support/byte-store.ts";
import { createHeadCache } from "../support/head-cache.ts";
import { createNamespace, type Storages } from "./objects.ts";

export interface MirrorOptions {
  /** As `[vars]` of wrangler.toml. */
  readonly vars: Readonly<Record<string, unknown>>;
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** What the Worker has in place of the store in memory, such as that store made slow. */
  readonly over?: (store: ObjectStore) => ObjectStore;
  /** Copies of the Worker over one store, as at the edge; 1: one machine. */
  readonly isolates?: number;
  /** As of `composeCore`. Default: where there are several isolates. */
  readonly isStoreFar?: boolean;
}

/** What a client got: `cut` says why the body ended before its end. */
export interface Got {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array;
  readonly cut: string | null;
}

export interface Ask {
  readonly method?: "GET" | "HEAD";
  readonly headers?: Readonly<Record<string, string>>;
  /** The client leaves after this many bytes. */
  readonly leaveAfter?: number;
  readonly isolate?: number;
}

/** The whole Worker in this process, over a store in memory: what worker.ts puts together, without the platform. */
export function createMirror({ vars, fetch, isolates = 1, isStoreFar = isolates > 1, over = (store) => store }: MirrorOptions) {
  const parsed = parseConfig(vars);
  if (!parsed.ok) throw new Error(parsed.problems.join("\n"));
  const { config } = parsed;
  const headTtlMs = Math.min(config.metadataTtlSeconds * 1_000, 60_000);
  const store = createByteStore(() => Date.now());
  const bucket = over(store);
  const kept = { flights: new Map() as Storages, repositories: new Map() as Storages };
  /** What the ledger knows of repositories. */
  const published = new Set<string>();
  const log: string[] = [];
  const say = (message: string) => void log.push(message);
  let handlers = start();

  function start(): readonly HandlerDependencies[] {
    const flights = createNamespace(kept.flights, (ctx) => new FillCoordinator(ctx, {}));
    const main = compose(flights, null);
    // The others answer clients in another part of the world.
    const cores = [main, ...Array.from({ length: isolates - 1 }, () => compose(flights, "apac"))];
    const repositories = createNamespace(kept.repositories, (ctx) => new RepositoryObject(ctx, {}));
    const repositoryOf = (name: string) => repositories.get(repositories.idFromName(name)) as never;

    class RepositoryObject extends RepositoryObjectBase<unknown> {
      protected override dependencies(): RepositoryObjectDependencies {
        const name = this.ctx.id.name ?? "";
        const dependencies: unknown = {
          ...main,
          ensureStored: createEnsureStored(main.fills, main.store, keepAlive),
          log: (_level: string, message: string) => say(message),
          onPublished: () => published.add(name),
          onStanding: () => {},
          onProtection: () => {},
          // Landed tables are compared with what is stored.
          rows: () => rowsOf(main.store),
          taint: main.leases.taint,
          headTtlMs: isolates === 1 ? 0 : headTtlMs,
          rememberMs: isolates === 1 ? 0 : 60_000,
          directory: repositoryOf,
        };
        return dependencies as RepositoryObjectDependencies;
      }
    }

    return cores.map((core) => {
      const remembered = rememberTables({
        listings: (mirror) => (repositoryOf(mirror) as RepositoryObject).listings() as never,
        lookUp: (mirror, path, waitMs) => (repositoryOf(mirror) as RepositoryObject).lookUp(path, waitMs),
        ttlMs: config.metadataTtlSeconds * 1_000,
        now: core.now,
      });
      const onLost = (mirror: string, base: string): void =>
        void (repositoryOf(`${mirror}/${base}`) as unknown as RepositoryObject).rebuildTables(mirror, base);
      const serve = {
        ...core,
        repositories: createRepositories({
          store: core.store,
          now: core.now,
          known: createKnownRepositories({
            ...core,
            timer: systemTimer,
            isPublished: async (name) => published.has(name),
            waitUntil: keepAlive,
          }),
          repository: (mirror, base) => repositoryOf(`${mirror}/${base}`),
          publishedDigests:
            config.verify === "index" ? createPublishedDigests({ tables: createTableReader(core), ...remembered, onLost }) : null,
        }),
        confirmations: createConfirmations(),
        taint: core.leases.taint,
        onUse: core.retention.use,
        heads: createReadyHeads({ isLocal: true, now: core.now }),
      };
      return {
        serve,
        app: { fetch: () => new Response("no page", { status: 404 }) },
        via: core.via,
        isLocal: isolates === 1,
        ownHosts: ["mirror.test"],
        logRequest: (record) => say(JSON.stringify(record)),
      };
    });
  }

  function compose(flights: unknown, region: Region) {
    const leases = createLeases(flights as DurableObjectNamespace<FillCoordinator>, {
      onError: (error) => say(`coordinator: ${String(error)}`),
      isLocal: isolates === 1,
      region: () => region,
    });
    const room = { used: 0, ageFactor: 0 };
    return composeCore(config, bucket, leases, {
      isLocal: isolates === 1,
      isStoreFar,
      fetch,
      ledger: () => ({ record: async () => room, reserve: async () => ({ ...room, admitted: true }) }),
      cached: (bare) => (isolates === 1 ? bare : createHeadCache(bare, headTtlMs, () => Date.now())),
      streamPut: null,
      waitUntil: keepAlive,
      log: say,
      counters: createCounters(),
    });
  }

  async function respond(path: string, { method = "GET", headers = {}, isolate = 0 }: Ask = {}): Promise<Response> {
    const handler = handlers[isolate % handlers.length];
    if (handler === undefined) throw new Error(`no isolate ${isolate}`);
    const request = { method, url: `/${path}`, headers: new Headers({ host: "mirror.test", ...headers }) } as Request;
    return asRequest(() => handle(request, handler, keepAlive));
  }

  async function ask(path: string, how: Ask = {}): Promise<Got> {
    return receive(await respond(path, how), how.leaveAfter);
  }

  return {
    ask,
    /** The response as it begins: its body is the caller's to read. */
    respond,
    store,
    log,
    /** All isolates and Durable Objects begin anew; what is stored and kept stays. */
    restart: () => void (handlers = start()),
  };
}

/** Reads an answer as a client does, which leaves after `leaveAfter` bytes. */
export async function receive({ status, headers, body }: Response, leaveAfter = Infinity): Promise<Got> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  let cut: string | null = null;
  const reader = body?.getReader();
  try {
    for (let next = await reader?.read(); next?.done === false; next = await reader?.read()) {
      chunks.push(next.value.slice());
      length += next.value.length;
      if (length < leaveAfter) continue;
      cut = "the client left";
      await reader?.cancel();
      break;
    }
  } catch (error) {
    cut = String(error);
  }
  return { status, headers, body: new Uint8Array(Buffer.concat(chunks)), cut };
}

function keepAlive(work: Promise<unknown>): void {
  work.catch(() => {});
}

/** What the ledger knows of the store, as soon as it is there. */
function rowsOf(store: ObjectStore): StoredRows {
  const read = async (key: string) => {
    const object = await store.head(key);
    const { class: pathClass } = placeOf({ distro: undefined, classes: [] }, key.slice(key.indexOf("/") + 1));
    return object === null ? [] : [{ key, class: pathClass, storedAt: object.storedAt }];
  };
  return {
    async page(prefix, after, limit) {
      const { objects } = await store.list({ prefix });
      const keys = objects.flatMap(({ key }) => (key > after ? [key] : []));
      return (await Promise.all(keys.toSorted().slice(0, limit).map(read))).flat();
    },
    pick: async (keys) => (await Promise.all(keys.map(read))).flat(),
  };
}
