import { createApp, type SiteDependencies } from "./app.ts";
import { elapsedMs } from "./clock/elapsed.ts";
import { sleep, systemTimer } from "./clock/timer.ts";
import type { Core } from "./compose.ts";
import type { LogMode } from "./config/config.ts";
import { progressOf } from "./fill/shared/fill.ts";
import { type HandlerDependencies, refuseClient } from "./handle.ts";
import { createRepositories } from "./metadata/create-repositories.ts";
import { createKnownRepositories } from "./metadata/known-repositories.ts";
import { createPublishedDigests } from "./metadata/digests/published-digests.ts";
import { createTableReader } from "./metadata/digests/read-table.ts";
import { rememberTables } from "./metadata/digests/remember-tables.ts";
import type { RepositoryObjectBase } from "./metadata/repository-object.ts";
import { BOOK_SHARD, quotasOf, shardOf } from "./retention/batch.ts";
import type { LedgerObjectBase } from "./retention/ledger-object.ts";
import { createReadyHeads } from "./serve/answer/ready-heads.ts";
import { createConfirmations } from "./serve/shared/confirmations.ts";
import type { OperatorLedger } from "./site/operator-api.ts";
import type { HotFigures } from "./store/hot-bodies.ts";
import { type Counters, tallyOf } from "./watch/counters.ts";
import { createFailedLogins } from "./watch/failed-logins.ts";
import type { SetAside } from "./watch/readings.ts";
import { createRecordWriter } from "./watch/write-log.ts";

/** Methods of a Durable Object as they are called from elsewhere. */
type Called<T, Method extends keyof T> = {
  readonly [M in Method]: T[M] extends (...args: infer Args) => infer Result ? (...args: Args) => Promise<Awaited<Result>> : never;
};
type Ledger = OperatorLedger &
  Called<LedgerObjectBase<unknown>, "view" | "next" | "row" | "history" | "repositories" | "repositoryNames" | "isRepository">;
type RepositoryPort = Called<
  RepositoryObjectBase<unknown>,
  "forget" | "listings" | "lookUp" | "rebuildTables" | "resolve" | "expectation" | "rootDigest" | "carried" | "adopt"
>;

/** What the handler needs of the platform beside the core. */
export interface HandlerPorts {
  readonly isLocal: boolean;
  /** The operator's; without it there are no pages for the operator. */
  readonly token: string | undefined;
  /** Opens the pages that change nothing. */
  readonly readToken: string | undefined;
  /** Hosts and addresses that the server has beside the configured hosts. */
  readonly ownHosts: readonly string[];
  /** Whether one more request may come under this key just now; undefined: all may. */
  readonly limit: ((key: string) => Promise<boolean>) | undefined;
  /** Which requests are lines in the log. */
  readonly logMode: LogMode;
  /** What the parent process wants not to be read for now. */
  readonly setAside: readonly SetAside[];
  /** The ledger of this name (`shardOf`). Its calls reject if its Durable Object cannot be reached. */
  readonly ledger: (name: string) => Ledger;
  /** The repository `<mirror>/<base>`, or the directory of digest tables `<mirror>`. Calls nothing by itself. */
  readonly repository: (name: string) => RepositoryPort;
  readonly counters: Counters;
  /** Bodies in memory; null: there are none. */
  readonly hot: () => HotFigures | null;
  /** Keeps the isolate alive until `work` has settled. */
  readonly waitUntil: (work: Promise<unknown>) => void;
}

/** Puts together what answers requests, over the core of an isolate. */
export function composeHandler(shared: Core, ports: HandlerPorts): HandlerDependencies {
  const { config, store, upstreams, via, fills, native, retention, room, condemn, now, log } = shared;
  const { isLocal, ownHosts, limit, counters, waitUntil } = ports;
  const client = { isLocal, limit, logins: createFailedLogins({ now, log }) };
  const repositories = composeRepositories(shared, ports);
  const confirmations = createConfirmations();
  const { taint } = shared.leases;
  const onUse = retention.use;
  const heads = createReadyHeads({ isLocal, now });
  const serve = { config, store, fills, native, upstreams, repositories, confirmations, heads, now, taint, onUse, room, condemn, log };
  // To write a line for each request costs half as much as a hit: on one machine it is done in batches.
  const writeRecord = createRecordWriter(ports.logMode, isLocal ? { now, sleep, waitUntil } : null, { now, random: Math.random });
  return {
    serve,
    app: createApp({
      config,
      ownHosts,
      operator: {
        token: ports.token,
        readToken: ports.readToken,
        logins: client.logins,
        budget: config.budgetBytes,
        retentionDays: config.retentionDays,
        ledger: ports.ledger,
        flush: retention.flush,
        forget: async (name, pattern) => {
          const mirror = name.slice(0, name.indexOf("/"));
          // What is left of a mirror that is configured no more goes with its last use.
          if (config.mirrors.has(mirror)) await ports.repository(name).forget(mirror, pattern);
          repositories.forgetAnswers();
        },
        // A look for a head corrects the data centre's cache; what fails is over with the head's time in it.
        onPurged: async (keys) => void (await Promise.allSettled(isLocal ? [] : keys.map((key) => store.head(key)))),
        transfer: {
          config,
          store,
          repositories,
          giveBody: shared.giveBody,
          repositoryNames: (prefix) => ports.ledger(BOOK_SHARD).repositoryNames(prefix),
          carried: (name, mirror) => ports.repository(name).carried(mirror),
          adopt: (generation) => ports.repository(`${generation.mirror}/${generation.place.base}`).adopt(generation),
          waitUntil,
        },
      },
      pages: composePages(shared, ports, serve),
      links: {
        repositories,
        refuseClient: (headers, mirror) => {
          // handle.ts writes this header.
          const arrival = { address: headers.get("cf-connecting-ip") };
          return refuseClient({ authorization: headers.get("authorization"), arrival }, mirror, client);
        },
      },
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
function composeRepositories(
  { config, store, upstreams, createDigest, retention, now, log }: Core,
  { ledger, repository, waitUntil }: HandlerPorts,
): HandlerDependencies["serve"]["repositories"] {
  const remembered = rememberTables({
    listings: (mirror) => repository(mirror).listings(),
    lookUp: (mirror, path, waitMs) => repository(mirror).lookUp(path, waitMs),
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
    const asked = repository(name).rebuildTables(mirror, base);
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
      isPublished: (name) => ledger(BOOK_SHARD).isRepository(name),
      waitUntil,
      log,
    }),
    repository: (mirror, base) => repository(`${mirror}/${base}`),
    publishedDigests: config.verify === "index" ? createPublishedDigests({ tables, ...remembered, onLost }) : null,
  });
}

function composePages(
  { upstreams, fills, retention }: Core,
  ports: HandlerPorts,
  serve: HandlerDependencies["serve"],
): SiteDependencies["pages"] {
  const { config, store, repositories, confirmations, now } = serve;
  const book = () => ports.ledger(BOOK_SHARD);
  return {
    isLocal: ports.isLocal,
    status: {
      counters: ports.counters,
      mirrors: [...config.mirrors.keys()],
      budget: config.budgetBytes,
      quotas: quotasOf(config),
      verify: config.verify,
      ...(ports.isLocal ? {} : { plan: config.plan }),
      offline: config.offline,
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
      setAside: () => ports.setAside,
      hot: ports.hot,
    },
    why: {
      config,
      store,
      repositories,
      checkedAt: confirmations.at,
      unstored: ports.counters.unstored,
      now,
      row: (key) => ports.ledger(shardOf(key)).row(key),
      nextOut: (limit) => book().next(limit),
    },
  };
}
