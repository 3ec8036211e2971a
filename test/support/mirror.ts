import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** The one-machine server as its users start it, in a process of its own. */
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
  /** Its text after it was asked to end; throws when it does not end by itself. */
  stop(): Promise<void>;
  /** Ends it at once, as a power cut does. */
  kill(): Promise<void>;
  /** Starts it again over the same state, on the same port; with other `[vars]` where they are given. */
  start(vars?: MirrorSetup["vars"]): Promise<void>;
  /** Ends it and removes its folders. */
  remove(): Promise<void>;
}

export interface MirrorSetup {
  readonly mirrors: Readonly<Record<string, MirrorTable>>;
  /** Scalars of `[vars]`, such as `METADATA_TTL_SECONDS`. */
  readonly vars?: Readonly<Record<string, number | string>>;
  /** A program that the server is started by, with its arguments: it must become the server (`exec`). `STATE` is the state folder. */
  readonly launcher?: readonly string[];
  /** Of the server's environment, beside our own. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A `[vars.MIRRORS.<name>]` table. */
export interface MirrorTable {
  readonly upstreams: readonly string[];
  readonly distro?: string;
  /** Default: a loopback address that is no other mirror's. */
  readonly hosts?: readonly string[];
  readonly budget_gb?: number;
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
  const listen = ["127.0.0.1", ...hosts.values()].flatMap((host) => ["--listen", `${host}:${port}`]);
  const args = [join(ROOT, "src/local/server/main.ts"), "--config", join(folder, "wrangler.toml"), "--state", stateFolder, ...listen];
  let output = "";
  let child: ChildProcess | undefined;

  async function start(vars: MirrorSetup["vars"] = setup.vars ?? {}): Promise<void> {
    writeFileSync(join(folder, "wrangler.toml"), formatConfig({ ...setup, vars }, hosts));
    const [command = "", ...all] = [...(setup.launcher ?? []), join(ROOT, "node_modules/.bin/node"), ...args];
    const env = { ...process.env, ...setup.env, STATE: stateFolder };
    const started = spawn(command, all, { cwd: ROOT, env, stdio: ["ignore", "pipe", "pipe"] });
    child = started;
    const collect = (text: string): void => void (output += text);
    started.stdout.setEncoding("utf8").on("data", collect);
    started.stderr.setEncoding("utf8").on("data", collect);
    for (const deadline = Date.now() + READY_MS; Date.now() < deadline; await sleep(POLL_MS)) {
      if (hasEnded(started)) break;
      const health = await fetch(`http://127.0.0.1:${port}/-/health`).catch(() => undefined);
      await health?.body?.cancel();
      if (health?.status === 200) return;
    }
    started.kill("SIGKILL");
    throw new Error(`Cannot start the mirror: /-/health should answer 200 within ${READY_MS} ms\n${output}`);
  }
  async function end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    if (child === undefined || hasEnded(child)) return;
    const ended = once(child, "exit");
    child.kill(signal);
    const timer = setTimeout(() => child?.kill("SIGKILL"), END_MS);
    const [code, killedBy] = (await ended) as [number | null, NodeJS.Signals | null];
    clearTimeout(timer);
    if (signal === "SIGTERM" && code !== 0) {
      throw new Error(
        `Cannot stop the mirror: it ended by ${killedBy ?? `exit code ${code}`} and should exit with 0 within ${END_MS} ms\n${output}`,
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
    stop: () => end("SIGTERM"),
    kill: () => end("SIGKILL"),
    start,
    async remove() {
      await end("SIGKILL");
      // workerd, its child, may write a last time.
      rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    },
  };
  await start();
  return mirror;
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function formatConfig(setup: MirrorSetup, hosts: ReadonlyMap<string, string>): string {
  const lines = ["[vars]"];
  for (const [name, value] of Object.entries(setup.vars ?? {})) lines.push(`${name} = ${JSON.stringify(value)}`);
  for (const [name, table] of Object.entries(setup.mirrors)) {
    lines.push(`[vars.MIRRORS.${name}]`);
    for (const [field, value] of Object.entries({ hosts: [hosts.get(name)], ...table })) lines.push(`${field} = ${JSON.stringify(value)}`);
  }
  return `${lines.join("\n")}\n`;
}

export async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
