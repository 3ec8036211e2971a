import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { getCACertificates } from "node:tls";
import type { Endpoint } from "./command-line.ts";
import type { KeyPair } from "./key-pair.ts";
import type { WorkerModules } from "./load-worker.ts";
import { placeFiles, START_FOLDER } from "./place-files.ts";
import type { ProjectFile } from "../project-file.ts";
import { removeIfPossible } from "./remove-if-possible.ts";
import { sendRequest } from "../send-request.ts";
import type { StateFolder } from "./state-folder.ts";
import { done, refused, type Step } from "../step.ts";
import { CRON_SOCKET, describeWorkerd } from "./workerd-config.ts";
import { isNoise, messageOf, parseListening, readLines } from "./workerd-output.ts";

/** What workerd runs, with which bindings, on which state and addresses. */
export interface RuntimeOptions {
  /** The Worker. */
  readonly modules: WorkerModules;
  readonly project: ProjectFile;
  readonly bindings: Readonly<Record<string, unknown>>;
  readonly state: StateFolder;
  readonly endpoints: readonly Endpoint[];
  /** The certificate and key of https endpoints, as they are now; null: there are none. */
  readonly keyPair: () => KeyPair | null;
  /** The path of the gateway's socket; null: there is no gateway. */
  readonly gateway: string | null;
  /** Takes each message of the Worker and of workerd; it may hold several lines. */
  readonly onLog: (message: string) => void;
}

/** A running workerd. */
export interface Runtime {
  /** Settles when workerd has ended: null if we or a signal to our whole process group asked it to end, else the signal or exit code. */
  readonly ended: Promise<string | null>;
  /** The process of workerd. */
  readonly pid: number;
  /** Runs the Worker's cron handler once. Takes as long as that does, or until workerd ends, which `ended` tells; rejects where it fails. */
  runScheduled(): Promise<void>;
  /** Stops listening, lets requests under way go on for at most `graceMs`, then ends workerd. */
  stop(graceMs: number): Promise<void>;
}

/** What asks the server to end. */
export const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** workerd listens some 50 ms after it was started; on a busy machine later. */
const LISTEN_MS = 40_000;

/** The file of workerd's configuration. */
const CONFIG = "config.capnp";

/** We see that workerd has ended at most so long after its connections broke. */
const END_SEEN_MS = 1000;

/** The file descriptor on which workerd reports where it listens. */
const CONTROL_FD = 3;

/** Runs the Worker in workerd, which clients reach directly. Refuses if workerd does not start; what it said then went to `onLog`. */
export async function startRuntime(options: RuntimeOptions): Promise<Step<Runtime>> {
  const cronPath = `/${randomBytes(32).toString("hex")}`;
  let folder: string | null = null;
  let workerd: ChildProcess;
  let ports: ReadonlyMap<string, number> | null;
  try {
    folder = writeConfig(options, cronPath);
    workerd = spawn(binaryOf(), argumentsOf(join(folder, CONFIG)), {
      stdio: ["ignore", "pipe", "pipe", "pipe"],
      env: { ...process.env, TZ: "UTC" },
    });
    // It starts with workerd, as we may be killed before workerd is ready.
    workerd.once("spawn", () => guardAgainstOrphan(workerd));
    const report = (line: string): void => {
      const message = messageOf(line);
      // Lines of requests are the Worker's own, and there may be thousands a second.
      if (message.startsWith("{") || !isNoise(message)) options.onLog(message);
    };
    for (const stream of [workerd.stdout, workerd.stderr]) if (stream !== null) readLines(stream, report);
    ports = await waitForPorts(workerd, options.endpoints.length + 1);
  } catch (error) {
    return refused(`Cannot start workerd: ${(error as Error).message}`);
  } finally {
    if (folder !== null) removeIfPossible(folder);
  }
  const { pid } = workerd;
  if (ports === null || pid === undefined) {
    return refused(`Cannot start workerd: it ended (${endOf(workerd)}) before it listened on all its addresses.`);
  }
  const cronUrl = new URL(cronPath, `http://127.0.0.1:${ports.get(CRON_SOCKET)}`);
  let isStopping = false;
  const ended = hasExited(workerd).then(() => {
    if (workerd.exitCode === 0 || workerd.signalCode === "SIGINT" || workerd.signalCode === "SIGTERM" || isStopping) return null;
    return endOf(workerd);
  });
  return done({
    ended,
    pid,
    async runScheduled() {
      try {
        const response = await sendRequest(cronUrl, { agent: false });
        const outcome = await text(response);
        if (response.statusCode !== 200) throw new Error(`its outcome is "${outcome.slice(0, 100)}"`);
      } catch (error) {
        // A connection that breaks is seen a moment before the end of the process.
        const isEnding = isStopping || (await Promise.race([ended.then(() => true), sleep(END_SEEN_MS, false)]));
        if (!isEnding) throw error;
      }
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

/** The path of workerd's binary: that of npm's `workerd`, which has no types, or what the variable names that wrangler looks at as well. */
function binaryOf(): string {
  const named = process.env["MINIFLARE_WORKERD_PATH"];
  if (named !== undefined) return named;
  const require = createRequire(import.meta.url);
  const { default: path } = require("workerd") as { readonly default: string };
  return path;
}

/** `--experimental`: Durable Objects on the disk, and the call of a cron handler, are that to workerd. */
function argumentsOf(config: string): readonly string[] {
  return ["serve", "--experimental", `--control-fd=${CONTROL_FD}`, config];
}

/**
 * Writes workerd's configuration, which holds the secrets of ours, with what it embeds. workerd reads all of it before it listens, and where the disk of the
 * state is full it lies in memory. Returns the folder, which only this user can read. Throws what the disk throws.
 */
function writeConfig({ state, ...options }: RuntimeOptions, cronPath: string): string {
  // Where earlier versions have it.
  const objects = join(state.objects, "do");
  mkdirSync(objects, { recursive: true, mode: 0o700 });
  // Those of NODE_EXTRA_CA_CERTS: an organisation's upstreams may have certificates of its own authority.
  const certificates = getCACertificates("extra");
  return placeFiles(join(state.folder, START_FOLDER), {
    ...Object.fromEntries(options.modules.map(({ path, contents }) => [path, contents])),
    [CONFIG]: describeWorkerd({ ...options, keyPair: options.keyPair(), store: state.store, objects, certificates, cronPath }),
  });
}

/** The port of each socket, once workerd listens on all `count`; null where it ends before that. Throws where it takes longer than LISTEN_MS. */
async function waitForPorts(workerd: ChildProcess, count: number): Promise<ReadonlyMap<string, number> | null> {
  const ports = new Map<string, number>();
  const { promise: listening, resolve, reject } = Promise.withResolvers<ReadonlyMap<string, number>>();
  workerd.once("error", reject);
  readLines(workerd.stdio[CONTROL_FD] as Readable, (line) => {
    const found = parseListening(line);
    if (found !== null) ports.set(found.socket, found.port);
    if (ports.size === count) resolve(ports);
  });
  const limit = setTimeout(() => {
    workerd.kill("SIGKILL");
    reject(new Error(`it does not listen after ${LISTEN_MS / 1000} s`));
  }, LISTEN_MS);
  try {
    return await Promise.race([listening, hasExited(workerd).then(() => null)]);
  } finally {
    clearTimeout(limit);
  }
}

/** Resolves when the process has ended. */
function hasExited(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => void child.once("exit", () => resolve()));
}

function endOf({ exitCode, signalCode }: ChildProcess): string {
  return signalCode ?? `exit code ${exitCode}`;
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
