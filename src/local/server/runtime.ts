import { type ChildProcess, spawn } from "node:child_process";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { getCACertificates } from "node:tls";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import type { WorkerModules } from "./bundle-worker.ts";
import type { Endpoint } from "./command-line.ts";
import type { ProjectFile } from "../project-file.ts";
import type { StateFolder } from "./state-folder.ts";
import { done, refused, type Step } from "../step.ts";

/** What workerd runs, with which bindings, on which state and addresses. */
export interface RuntimeOptions {
  /** The Worker. */
  readonly modules: WorkerModules;
  readonly project: ProjectFile;
  readonly bindings: Readonly<Record<string, unknown>>;
  readonly state: StateFolder;
  readonly endpoints: readonly Endpoint[];
  /** Takes each message of the Worker and of workerd; it may hold several lines. */
  readonly onLog: (message: string) => void;
}

/** A running workerd. */
export interface Runtime {
  /** Settles when workerd has ended: null if we or a signal to our whole process group asked it to end, else the signal or exit code. */
  readonly ended: Promise<string | null>;
  /** The process of workerd. */
  readonly pid: number;
  /** Runs the Worker's cron handler once. */
  runScheduled(): Promise<void>;
  /** Stops listening, lets requests under way go on for at most `graceMs`, then ends workerd. */
  stop(graceMs: number): Promise<void>;
}

const SCHEDULED_URL = "http://localhost/cdn-cgi/local/scheduled";

/** What asks the server to end. */
export const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Runs the Worker in workerd. Miniflare writes workerd's configuration; clients connect to workerd's own sockets, not to Miniflare's. Refuses if workerd does
 * not start.
 */
export async function startRuntime(options: RuntimeOptions): Promise<Step<Runtime>> {
  const children: ChildProcess[] = [];
  const collect = (message: unknown): void => {
    const { process: child } = message as { process: ChildProcess };
    // The first child is workerd, the second is its guard. The guard starts with workerd, as we may be killed before workerd is ready.
    if (children.push(child) === 1) child.once("spawn", () => guardAgainstOrphan(child));
  };
  subscribe("child_process", collect);
  const miniflare = startMiniflare(options);
  try {
    await miniflare.ready;
  } catch (error) {
    await miniflare.dispose().catch(() => {});
    return refused(`Cannot start workerd: ${(error as Error).message}`);
  } finally {
    unsubscribe("child_process", collect);
  }
  const [workerd] = children;
  const pid = workerd?.pid;
  if (workerd === undefined || pid === undefined) throw new Error("Miniflare started no process of its own: cannot watch over workerd.");
  let isStopping = false;
  const ended = once(workerd, "exit").then(async () => {
    // In the same turn as the exit event: Miniflare would otherwise start another workerd.
    await miniflare.dispose().catch(() => {});
    if (workerd.exitCode === 0 || workerd.signalCode === "SIGINT" || workerd.signalCode === "SIGTERM" || isStopping) return null;
    return workerd.signalCode ?? `exit code ${workerd.exitCode}`;
  });
  return done({
    ended,
    pid,
    async runScheduled() {
      // Miniflare's own call for it stops our event loop until workerd answers, and for ever where that stands still.
      const response = await miniflare.dispatchFetch(SCHEDULED_URL);
      const text = await response.text();
      if (!response.ok) throw new Error(`its outcome is "${text.slice(0, 100)}"`);
    },
    async stop(graceMs) {
      // On SIGTERM workerd closes its listeners and idle connections, and ends after the last request.
      isStopping = true;
      workerd.kill("SIGTERM");
      const limit = setTimeout(() => workerd.kill("SIGKILL"), graceMs);
      await ended;
      clearTimeout(limit);
    },
  });
}

/** Miniflare's own signal handlers kill workerd at once, and every download with it: only those stay that main.ts installed before, which let downloads end. */
function startMiniflare(options: RuntimeOptions): Miniflare {
  const ours = SIGNALS.map((signal) => process.listeners(signal));
  const miniflare = new Miniflare(convertV4MiniflareOptions(miniflareOptions(options)));
  for (const [index, signal] of SIGNALS.entries()) {
    process.removeAllListeners(signal);
    for (const listener of ours[index] ?? []) process.on(signal, listener);
  }
  return miniflare;
}

function miniflareOptions({ modules, project, bindings, state, endpoints, onLog }: RuntimeOptions) {
  return {
    // Miniflare insists on a socket of its own, which we do not use: any free loopback port will do.
    host: "127.0.0.1",
    port: 0,
    // Otherwise Miniflare downloads a sample of request.cf.
    cf: false,
    // Miniflare's socket, on loopback, answers SCHEDULED_URL by running the cron handler.
    unsafeTriggerHandlers: true,
    telemetry: { enabled: false },
    resourcePersistencePath: state.objects,
    handleStructuredLogs: ({ message }: { message: string }) => onLog(message),
    workers: [
      {
        name: "lazy-mirror",
        modules: [...modules],
        compatibilityDate: project.compatibilityDate,
        compatibilityFlags: project.compatibilityFlags,
        bindings: bindings as Record<string, never>,
        serviceBindings: {
          DISK: { disk: { path: state.store, writable: true } },
          // Miniflare's default network goes through another Worker, which adds a header and 0.2 ms to each miss. The certificates are those of
          // NODE_EXTRA_CA_CERTS: an organisation's upstreams may have certificates of its own authority.
          NETWORK: {
            network: {
              allow: ["public", "private"],
              tlsOptions: { trustBrowserCas: true, trustedCertificates: getCACertificates("extra") },
            },
          },
        },
        durableObjects: Object.fromEntries(project.durableObjects.map(({ name, className }) => [name, { className, useSQLite: true }])),
        // `proxy` passes the request target as the client sent it, so that the Worker can distinguish an absolute URL from a path.
        unsafeDirectSockets: endpoints.map(({ host, port }) => ({ host, port, proxy: true })),
      },
    ],
  };
}

/**
 * workerd does not notice that its parent was killed, and would keep the port for ever. This shell waits on a pipe that only we hold open, and kills
 * workerd when the pipe closes.
 */
function guardAgainstOrphan(workerd: ChildProcess): void {
  const guard = spawn("sh", ["-c", `read -r _; kill -9 ${workerd.pid}`], { stdio: ["pipe", "ignore", "ignore"], detached: true });
  guard.unref();
  workerd.once("exit", () => guard.kill());
}
