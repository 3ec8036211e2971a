import { createApp } from "./app.ts";
import type { Config } from "./config/config.ts";
import { parseConfig } from "./config/parse-config.ts";
import { createFills } from "./fill/fills.ts";
import { createLeases, type FillCoordinator } from "./fill/fill-coordinator.ts";
import { createMemory } from "./fill/memory.ts";
import { createStreamDigest } from "./fill/stream-digest.ts";
import { handle, type HandlerDependencies } from "./handle.ts";
import { createChecks } from "./serve/checks.ts";
import { refuse } from "./serve/failure.ts";
import { createDiskStore } from "./store/disk-store.ts";
import { createR2Store } from "./store/r2-store.ts";
import { createUpstreams } from "./upstream/create-upstreams.ts";

export { FillCoordinator } from "./fill/fill-coordinator.ts";

interface Env extends Record<string, unknown> {
  readonly BUCKET?: R2Bucket;
  /** The state folder's store on one machine, in place of the bucket. */
  readonly DISK?: Fetcher;
  readonly FLIGHTS: DurableObjectNamespace<FillCoordinator>;
  /** Set on one machine. */
  readonly LOCAL?: boolean;
  readonly LOG?: "lines" | "off";
}

const BINDINGS = new Set(["BUCKET", "DISK", "FLIGHTS", "REPOSITORIES", "LEDGER", "LOCAL", "LOG"]);
/** Bytes in fills at once: at the edge an isolate has 128 MB for everything. */
const EDGE_FILL_BYTES = 64 * 1024 * 1024;
const LOCAL_FILL_BYTES = 512 * 1024 * 1024;
const VERSION = "0.1.0";

/** Built once per isolate: the environment does not change under it. */
let built: HandlerDependencies | Response | undefined;

export default {
  async fetch(request, env, ctx): Promise<Response> {
    built ??= build(env);
    if (built instanceof Response) return built.clone();
    return handle(request, built, (work) => ctx.waitUntil(work));
  },
} satisfies ExportedHandler<Env>;

function build(env: Env): HandlerDependencies | Response {
  const vars = Object.fromEntries(Object.entries(env).filter(([name]) => !BINDINGS.has(name)));
  const parsed = parseConfig(vars);
  if (!parsed.ok) return refuse(500, `This mirror is not configured rightly:\n${parsed.problems.join("\n")}`);
  return buildFor(parsed.config, env);
}

function buildFor(config: Config, env: Env): HandlerDependencies {
  const store = env.DISK === undefined ? createR2Store(env.BUCKET as R2Bucket) : createDiskStore(env.DISK);
  const log = (message: string) => console.warn(message);
  const now = () => Date.now();
  const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
  const upstreams = createUpstreams({
    config,
    version: VERSION,
    fetch: (url, init) => fetch(url, init),
    now,
    random: Math.random,
    after: (ms, run) => {
      const timer = setTimeout(run, ms);
      return () => clearTimeout(timer);
    },
    onEvent: (event) => log(JSON.stringify(event)),
  });
  const leases = createLeases(env.FLIGHTS, (error) => log(`A fill's coordinator failed: ${String(error)}`));
  const fills = createFills({
    config,
    store,
    upstreams,
    leases,
    memory: createMemory(env.LOCAL === true ? LOCAL_FILL_BYTES : EDGE_FILL_BYTES, sleep),
    now,
    sleep,
    createDigest: createStreamDigest,
    onStored: () => {},
    onBroken: (target, upstream, reason) => log(`Refused ${target.key} from ${upstream}: ${reason}`),
    onUnstored: (key, reason) => log(`Passed ${key} on unstored: ${reason}`),
  });
  const repositories = {
    resolve: async () => ({ kind: "opaque" }) as const,
    expected: async () => ({ kind: "none" }) as const,
    metalink: async () => null,
    mirrorlist: () => null,
  };
  return {
    serve: { config, store, fills, upstreams, repositories, checks: createChecks(), now, taint: leases.taint, log },
    app: createApp({ config }),
    isLocal: env.LOCAL === true,
    logRequest: env.LOG === "off" ? () => {} : (record) => console.log(JSON.stringify(record)),
  };
}
