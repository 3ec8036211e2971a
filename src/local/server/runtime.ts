import { type ChildProcess, spawn } from "node:child_process";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { getCACertificates } from "node:tls";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import type { Endpoint } from "./command-line.ts";
import type { ProjectFile } from "../project-file.ts";
import type { StateFolder } from "./state-folder.ts";
import { done, refused, type Step } from "../step.ts";

export interface RuntimeOptions {
  readonly script: string;
  readonly project: ProjectFile;
  readonly bindings: Readonly<Record<string, unknown>>;
  readonly state: StateFolder;
  readonly endpoints: readonly Endpoint[];
  readonly onLog: (message: string) => void;
}

export interface Runtime {
  /** Settles when workerd has ended: null when it was told to, by us or by whoever signals all of our processes; else what ended it. */
  readonly ended: Promise<string | null>;
  /** Runs the Worker's cron handler once. */
  runScheduled(): Promise<void>;
  /** Stops listening, lets requests under way go on for `graceMs` at most, then ends workerd. */
  stop(graceMs: number): Promise<void>;
}

/** Runs the Worker in workerd. Miniflare writes its configuration; clients talk to workerd's own sockets, not to Miniflare's entry. */
export async function startRuntime(options: RuntimeOptions): Promise<Step<Runtime>> {
  const children: ChildProcess[] = [];
  const collect = (message: unknown): void => {
    const { process: child } = message as { process: ChildProcess };
    // The first is workerd, which is guarded as soon as it runs: we may be killed before it is ready. The guard is a process too.
    if (children.push(child) === 1) child.once("spawn", () => guardAgainstOrphan(child));
  };
  subscribe("child_process", collect);
  const miniflare = new Miniflare(convertV4MiniflareOptions(miniflareOptions(options)));
  // Miniflare's own handlers would kill workerd, and every download with it, before ours could let them end.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.removeAllListeners(signal);
  try {
    await miniflare.ready;
  } catch (error) {
    await miniflare.dispose().catch(() => {});
    return refused(`Cannot start workerd: ${(error as Error).message}`);
  } finally {
    unsubscribe("child_process", collect);
  }
  const [workerd] = children;
  if (workerd?.pid === undefined) throw new Error("Miniflare started no process of its own: cannot watch over workerd.");
  let told = false;
  const ended = once(workerd, "exit").then(async () => {
    // At once, in the turn of the exit event: a Miniflare that is not disposed of starts another workerd.
    await miniflare.dispose().catch(() => {});
    if (workerd.exitCode === 0 || workerd.signalCode === "SIGINT" || workerd.signalCode === "SIGTERM" || told) return null;
    return workerd.signalCode ?? `exit code ${workerd.exitCode}`;
  });
  return done({
    ended,
    async runScheduled() {
      const worker = await miniflare.getWorker();
      await worker.scheduled();
    },
    async stop(graceMs) {
      // workerd drains on SIGTERM: it closes its listeners and idle connections and ends after the last request.
      told = true;
      workerd.kill("SIGTERM");
      const limit = setTimeout(() => workerd.kill("SIGKILL"), graceMs);
      await ended;
      clearTimeout(limit);
    },
  });
}

function miniflareOptions({ script, project, bindings, state, endpoints, onLog }: RuntimeOptions) {
  return {
    // Miniflare's entry has to be somewhere; nobody is told where.
    host: "127.0.0.1",
    port: 0,
    // Without this Miniflare asks the network for a sample of request.cf.
    cf: false,
    telemetry: { enabled: false },
    resourcePersistencePath: state.objects,
    handleStructuredLogs: ({ message }: { message: string }) => onLog(message),
    workers: [
      {
        name: "lazy-mirror",
        modules: [{ type: "ESModule" as const, path: "worker.js", contents: script }],
        compatibilityDate: project.compatibilityDate,
        compatibilityFlags: [...project.compatibilityFlags],
        bindings: bindings as Record<string, never>,
        serviceBindings: {
          DISK: { disk: { path: state.store, writable: true } },
          // Miniflare's own way to the network leads through a Worker of its own, which adds a header and 0.2 ms to each miss.
          NETWORK: {
            network: { allow: ["public", "private"], tlsOptions: { trustBrowserCas: true, trustedCertificates: extraAuthorities() } },
          },
        },
        durableObjects: Object.fromEntries(project.durableObjects.map(({ name, className }) => [name, { className, useSQLite: true }])),
        // `proxy` passes the request target as the client sent it, so that an absolute one can be told from a path.
        unsafeDirectSockets: endpoints.map(({ host, port }) => ({ host, port, proxy: true })),
      },
    ],
  };
}

/** Those of NODE_EXTRA_CA_CERTS: upstreams may be an organisation's own. */
function extraAuthorities(): string[] {
  return getCACertificates("extra");
}

/**
 * workerd does not notice that its parent was killed, and would hold the port for ever. This shell reads a pipe that only we hold open;
 * when we are gone it ends workerd.
 */
function guardAgainstOrphan(workerd: ChildProcess): void {
  const guard = spawn("sh", ["-c", `read -r _; kill -9 ${workerd.pid}`], { stdio: ["pipe", "ignore", "ignore"], detached: true });
  guard.unref();
  workerd.once("exit", () => guard.kill());
}
