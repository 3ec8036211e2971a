import { hostname, networkInterfaces, totalmem } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { parseConfig } from "../../config/parse-config.ts";
import { DAY_MS } from "../../http/units.ts";
import { describeBudget, describeOperator, describeServer, resolveOwnHost } from "./announcement.ts";
import { adminTokenPath, readAdminToken, readReadToken } from "../admin-token.ts";
import type { Endpoint, StartOptions } from "./command-line.ts";
import { setAsideDamaged } from "./damaged-databases.ts";
import { dropCovered, resolveEndpoint, urlOf } from "./free-port.ts";
import { startFlusher } from "./flush.ts";
import { loadWorker } from "./load-worker.ts";
import { formatLogLine } from "./log-line.ts";
import { measureStore, roomFor } from "./measure-store.ts";
import { readProjectFile, readVars } from "../project-file.ts";
import { keepReserve } from "./reserve.ts";
import type { Runtime } from "./runtime.ts";
import { describeFewFiles, openStateFolder, type StateFolder } from "./state-folder.ts";
import { sweepStore } from "./sweep-store.ts";
import { sendRequest } from "../send-request.ts";
import { openWays } from "./ways.ts";
import { startWatchedRuntime } from "./watched-runtime.ts";
import { done, refused, type Step } from "../step.ts";

/** The paths of the project's folder and of its own wrangler.toml. */
export interface Project {
  readonly root: string;
  readonly file: string;
}

/** A server that has answered its first request. */
export interface Server {
  readonly endpoints: readonly Endpoint[];
  /** The text to print: where the server listens and how clients use it. */
  readonly description: string;
  readonly runtime: Runtime;
  /** Has the certificate read again; does nothing where there is none. */
  readonly renew: () => void;
}

/** How often the Worker's cron handler runs (at the edge: hourly, wrangler.toml). */
const CRON_MS = 5 * 60_000;

/** Longer than the watchdog needs to start workerd anew once: workerd may stand still at once, over what the last run had not finished reading. */
const HEALTH_MS = 40_000;
const HEALTH_RETRY_MS = 250;

const GB = 1_000_000_000;

/** Starts the one-machine server, or refuses with every problem found. `print` takes one or more lines of the log. */
export async function startServer(options: StartOptions, project: Project, print: (line: string) => void): Promise<Step<Server>> {
  const vars = readVars(options.config);
  if (!vars.ok) return vars;
  const parsed = parseConfig(vars.value);
  if (!parsed.ok) return refused(...parsed.problems);
  const file = readProjectFile(project.file);
  if (!file.ok) return file;
  const modules = await loadWorker(project.root);
  if (!modules.ok) return modules;
  const state = openStateFolder(options.state);
  if (!state.ok) return state;
  const outward = await openWays(options, parsed.config, state.value.folder, print);
  if (!outward.ok) return outward;
  const endpoints = await resolveEndpoints(dropCovered(options.endpoints));
  if (!endpoints.ok) return endpoints;
  const fewFiles = describeFewFiles();
  if (fewFiles !== null) print(fewFiles);
  // From here on no request of an earlier server runs, since the folder is locked.
  const startedAt = Date.now();
  const { budgetBytes } = parsed.config;
  const { bytes, room, isPrivate } = state.value;
  if (!isPrivate)
    print(`Other users of this machine can read the state folder, which belongs to another user: chmod -R go= "${options.state}".`);
  if (room < budgetBytes) print(describeShortage(budgetBytes, room));
  const keptMs = parsed.config.retentionDays * DAY_MS;
  const flusher = startFlusher(state.value.folder, state.value.store, keptMs, print);
  for (const line of setAsideDamaged(state.value.objects, join(state.value.folder, "set-aside"))) print(line);
  let sweeping = new AbortController();
  /** Removes what a killed workerd had not finished writing, while the next one runs. */
  const sweep = (): void => {
    sweeping.abort();
    sweeping = new AbortController();
    sweepStore(state.value.store, sweeping.signal).catch((error: Error) =>
      print(`Cannot look for what a killed server left behind: ${error.message}`),
    );
  };
  const [probed] = endpoints.value;
  if (probed === undefined) return refused("Cannot start without an address to listen on.");
  const runtime = await startWatchedRuntime({
    modules: modules.value,
    project: file.value,
    bindings: {
      ...vars.value,
      START: { startedAt, bytes, room },
      LOCAL: true,
      // In a container its limit, where it has one.
      RAM: Math.min(totalmem(), process.constrainedMemory() || Infinity),
      LOG: options.quiet ? "off" : "lines",
      OWN_HOSTS: listOwnHosts(),
      PROXIED: outward.value.isProxied,
      ADMIN_TOKEN: readAdminToken(options.state),
      READ_TOKEN: readReadToken(options.state),
      SUSPECTS: flusher.suspects,
    },
    state: state.value,
    endpoints: endpoints.value,
    keyPair: outward.value.keyPair,
    gateway: outward.value.gateway,
    stateFolder: options.state,
    rebind: () => {
      keepReserve(state.value.folder);
      sweep();
      return { START: measureStart(state.value) };
    },
    probe: { ...probed, host: resolveOwnHost(probed.host) },
    print,
    onLog: (message) => {
      const now = Date.now();
      // One message holds the lines of several requests (src/watch/batch-lines.ts).
      const lines = message.startsWith("{") ? message.split("\n") : [message];
      const shown = lines.flatMap((line) => formatLogLine(line, now) ?? []);
      if (shown.length > 0) print(shown.join("\n"));
    },
  });
  if (!runtime.ok) return runtime;
  const health = await askHealth(probed, runtime.value.ended);
  if (!health.ok) {
    await runtime.value.stop(0);
    state.value.release();
    return health;
  }
  const keepHouse = (): void => {
    keepReserve(state.value.folder);
    runtime.value.runScheduled().catch((error: Error) => print(`Cannot run the cron handler: ${error.message}`));
  };
  // The first run finds what a killed server left behind, and makes a lost ledger anew.
  keepHouse();
  sweep();
  const cron = setInterval(keepHouse, CRON_MS);
  const renewal = outward.value.watchRenewal(async () => runtime.value.restart(options.graceMs));
  const ended = runtime.value.ended.then(async (crash) => {
    clearInterval(cron);
    renewal.end();
    sweeping.abort();
    await flusher.end();
    outward.value.close();
    state.value.release();
    return crash;
  });
  const command = describeOperator(options.state, endpoints.value, parsed.config.operatorHosts?.[0]);
  return done({
    endpoints: endpoints.value,
    renew: renewal.check,
    description: `${describeServer(parsed.config, endpoints.value, hostname())}\n${describeBudget(Math.min(budgetBytes, room))}\nThe operator's token (${command}): ${adminTokenPath(options.state)}`,
    runtime: {
      ended,
      get pid() {
        return runtime.value.pid;
      },
      runScheduled: runtime.value.runScheduled,
      async stop(graceMs) {
        await runtime.value.stop(graceMs);
        await ended;
      },
    },
  });
}

function measureStart({ store, objects }: StateFolder) {
  const startedAt = Date.now();
  const bytes = measureStore(store, objects);
  return { startedAt, bytes, room: roomFor(store, bytes) };
}

/**
 * Asks for `/-/health` until it answers, or `ended` has settled. Only then do we announce the server, since clients may ask at once. Clients that ask earlier
 * may bring workerd to a stand: then the answer comes after the watchdog has started workerd anew.
 */
async function askHealth(first: Endpoint, ended: Promise<unknown>): Promise<Step<void>> {
  const url = new URL(`${urlOf({ ...first, host: resolveOwnHost(first.host) })}/-/health`);
  let isOver = false;
  void ended.then(() => (isOver = true));
  const limit = AbortSignal.timeout(HEALTH_MS);
  for (;;) {
    try {
      // Not `fetch`, which would take 10 MB of this process's memory.
      const response = await sendRequest(url, { agent: false, signal: limit, rejectUnauthorized: false });
      const said = (await text(response)).trimEnd();
      if (response.statusCode === 200) return done(undefined);
      return refused(`The Worker answers ${response.statusCode} to ${url.href}, should be 200: ${said}`);
    } catch (error) {
      if (isOver || limit.aborted) return refused(`The Worker does not answer ${url.href}: ${String(error)}`);
      await sleep(HEALTH_RETRY_MS);
    }
  }
}

function describeShortage(budgetBytes: number, room: number): string {
  const [wanted, found] = [budgetBytes, room].map((bytes) => (bytes / GB).toFixed(1));
  return `The disk has room for ${found} GB of BUDGET_GB ${wanted}: keeping no more than that.`;
}

/** The names and addresses of this machine, as URLs have them: the mirror's pages may build links from these hosts. */
function listOwnHosts(): readonly string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  const urls = addresses.map(({ address, family }) => (family === "IPv6" ? `[${address.replace(/%.*/, "")}]` : address));
  return [...new Set([hostname().toLowerCase(), ...urls])];
}

async function resolveEndpoints(wanted: readonly Endpoint[]): Promise<Step<readonly Endpoint[]>> {
  const steps = await Promise.all(wanted.map(resolveEndpoint));
  const problems = steps.flatMap((step) => (step.ok ? [] : step.problems));
  return problems.length > 0 ? refused(...problems) : done(steps.flatMap((step) => (step.ok ? [step.value] : [])));
}
