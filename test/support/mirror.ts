import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { MIRROR_WAY, type MirrorPlace, type MirrorSetup } from "./mirror-way.ts";
import { endGroup, guardGroup, hasEnded } from "./process-group.ts";

export type { MirrorSetup, MirrorTable } from "./mirror-way.ts";

/** A mirror as its users start it, in a process of its own: `npm start`, or `wrangler dev` where MIRROR says so (mirror-way.ts). */
export interface MirrorProcess {
  /** `http://127.0.0.1:port`, which is no mirror's host: prefix mode. */
  readonly url: string;
  readonly port: number;
  readonly stateFolder: string;
  /** `http://127.0.0.1:port/<mirror>`. */
  prefixUrl(mirror: string): string;
  /** `http://<the mirror's own host>:port`. */
  hostUrl(mirror: string): string;
  /** All that it printed so far, over restarts. */
  output(): string;
  /** What the operator's pages and commands ask for. */
  readToken(): string;
  /** Sends a signal to the server. */
  signal(name: NodeJS.Signals): void;
  /** Its text after it was asked to end; throws when it does not end by itself. */
  stop(): Promise<void>;
  /** Ends it at once, as a power cut does. */
  kill(): Promise<void>;
  /** Starts it again over the same state, on the same port; with other `[vars]` where they are given. */
  start(vars?: MirrorSetup["vars"]): Promise<void>;
  /** Ends it and removes its folders. */
  remove(): Promise<void>;
}

const ROOT = join(import.meta.dirname, "../..");
const READY_MS = 60_000;
const END_MS = 20_000;
const POLL_MS = 50;

/** Clients resolve real names only, so each mirror's host is a loopback address of its own: 127.0.0.2, 127.0.0.3, … */
const FIRST_HOST = 2;

/** Starts a mirror with `setup` on a free port and waits until it is ready. */
export async function startMirror(setup: MirrorSetup): Promise<MirrorProcess> {
  const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-process-"));
  const port = await findFreePort();
  const hosts = new Map<string, string>(
    Object.entries(setup.mirrors).flatMap(([name, table], index) =>
      table.hosts === undefined ? [[name, `127.0.0.${FIRST_HOST + index}`]] : [],
    ),
  );
  const stateFolder = join(folder, "state");
  const place: MirrorPlace = { folder, stateFolder, port, hosts };
  const { endCodes } = MIRROR_WAY;
  let output = "";
  let child: ChildProcess | undefined;
  let callOffGuard = (): void => {};

  async function start(vars: MirrorSetup["vars"] = setup.vars ?? {}): Promise<void> {
    const launch = MIRROR_WAY.prepare(place, { ...setup, vars });
    const [command = "", ...args] = launch.command;
    const env = { ...process.env, ...launch.env };
    const started = spawn(command, args, { cwd: ROOT, env, stdio: ["ignore", "pipe", "pipe"], detached: true });
    child = started;
    if (started.pid !== undefined) callOffGuard = guardGroup(started.pid);
    const collect = (text: string): void => void (output += text);
    started.stdout.setEncoding("utf8").on("data", collect);
    started.stderr.setEncoding("utf8").on("data", collect);
    for (const deadline = Date.now() + READY_MS; Date.now() < deadline; await sleep(POLL_MS)) {
      if (hasEnded(started)) break;
      const signal = AbortSignal.timeout(READY_MS);
      const health = await fetch(`http://127.0.0.1:${port}/-/health`, { signal }).catch(() => undefined);
      await health?.body?.cancel();
      if (health?.status === 200) return;
    }
    await end("SIGKILL");
    throw new Error(`Cannot start the mirror by ${MIRROR_WAY.name}: /-/health should answer 200 within ${READY_MS} ms\n${output}`);
  }
  async function end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const ending = child;
    if (ending === undefined) return;
    const wasRunning = !hasEnded(ending);
    if (wasRunning) {
      const ended = once(ending, "exit");
      ending.kill(signal);
      const timer = setTimeout(() => ending.kill("SIGKILL"), END_MS);
      await ended;
      clearTimeout(timer);
    }
    // Its workerd outlives it for a moment, and would answer in the place of the next start.
    if (ending.pid !== undefined) await endGroup(ending.pid);
    callOffGuard();
    if (wasRunning && signal === "SIGTERM" && !endCodes.includes(ending.exitCode ?? -1)) {
      throw new Error(
        `Cannot stop the mirror: it ended by ${ending.signalCode ?? `exit code ${ending.exitCode}`} and should exit with ${endCodes.join(" or ")} within ${END_MS} ms\n${output}`,
      );
    }
  }
  const mirror: MirrorProcess = {
    url: `http://127.0.0.1:${port}`,
    port,
    stateFolder,
    prefixUrl: (name) => `http://127.0.0.1:${port}/${name}`,
    hostUrl: (name) => `http://${hosts.get(name)}:${port}`,
    output: () => output,
    readToken: () => MIRROR_WAY.readToken(place),
    signal: (name) => void child?.kill(name),
    stop: () => end("SIGTERM"),
    kill: () => end("SIGKILL"),
    start,
    async remove() {
      await end("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    },
  };
  await start();
  return mirror;
}

export async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
