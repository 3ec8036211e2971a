import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { stringify } from "smol-toml";
import { findFreePort } from "./mirror.ts";
import { endGroup, guardGroup } from "./process-group.ts";

/** `npm run instances`, in a process of its own. */
export interface Instances {
  /** What clients use: haproxy. */
  readonly url: string;
  /** The instances themselves. */
  readonly urls: readonly string[];
  /** The command's own process. */
  readonly pid: number;
  /** Process ids of the instances' parents, by their order; 0 while one does not run. */
  pids(): readonly number[];
  output(): string;
  readonly token: string;
  /** Its words, for another run with the same options. */
  readonly command: readonly [string, readonly string[]];
  /** SIGTERM to the command. Resolves with its exit code. */
  stop(): Promise<number | null>;
  /** Ends the command at once, as nothing can prepare for. */
  kill(): Promise<void>;
  /** Ends all and removes the state. */
  remove(): Promise<void>;
}

const ROOT = join(import.meta.dirname, "../..");
const READY_MS = 60_000;

/** The words of the command, for a configuration with these `[vars]`. */
export function instancesCommand(folder: string, vars: Record<string, unknown>, ...args: readonly string[]): readonly [string, string[]] {
  const config = join(folder, "wrangler.toml");
  writeFileSync(config, stringify({ vars }));
  const program = join(ROOT, "src/local/instances/instances-main.ts");
  return [join(ROOT, "node_modules/.bin/node"), [program, "--config", config, "--state", join(folder, "state"), ...args]];
}

/** Starts `count` instances behind haproxy and waits until all of them answer. */
export async function startInstances(vars: Record<string, unknown>, count: number, ...more: readonly string[]): Promise<Instances> {
  const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-instances-"));
  const port = await findFreePort();
  const firstPort = await findFreePorts(count + 1);
  const [node, args] = instancesCommand(
    folder,
    vars,
    "--count",
    String(count),
    "--port",
    String(port),
    "--first-port",
    String(firstPort),
    ...more,
  );
  const child = spawn(node, args, { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"], detached: true });
  const callOffGuard = guardGroup(child.pid ?? 0);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const end = async (signal: "SIGTERM" | "SIGKILL"): Promise<void> => {
    if (hasEnded()) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  };
  const instances: Instances = {
    url: `http://127.0.0.1:${port}`,
    urls: Array.from({ length: count }, (_, at) => `http://127.0.0.1:${firstPort + 1 + at}`),
    pid: child.pid ?? 0,
    pids: () => Array.from({ length: count }, (_, at) => findChild(child.pid ?? 0, `127.0.0.1:${firstPort + 1 + at}`)),
    output: () => output,
    command: [node, args],
    get token() {
      return readFileSync(join(folder, "state/admin-token"), "utf8").trim();
    },
    async stop() {
      await end("SIGTERM");
      return child.exitCode;
    },
    kill: () => end("SIGKILL"),
    async remove() {
      await end("SIGTERM");
      if (child.pid !== undefined) await endGroup(child.pid);
      callOffGuard();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  for (const deadline = Date.now() + READY_MS; !output.includes(" instances behind "); await sleep(50)) {
    if (!hasEnded() && Date.now() < deadline) continue;
    await instances.remove();
    throw new Error(`Cannot start the instances\n${output}`);
  }
  return instances;
}

/** The first of `count` ports in a row that are free. Below 32,768 the system chooses none of them for a connection meanwhile. */
async function findFreePorts(count: number): Promise<number> {
  for (;;) {
    const first = 20_000 + Math.floor(Math.random() * 12_000);
    const ports = Array.from({ length: count }, (_, at) => first + at);
    const free = await Promise.all(ports.map(isFree));
    if (free.every(Boolean)) return first;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const isListening = await new Promise<boolean>((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => resolve(true));
  });
  if (isListening) await new Promise((resolve) => server.close(resolve));
  return isListening;
}

/** The child of `parent` with this word on its command line; 0: there is none. */
function findChild(parent: number, word: string): number {
  const children = readFileSync(`/proc/${parent}/task/${parent}/children`, "utf8").trim().split(" ").filter(Boolean);
  return Number(children.find((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").includes(word)) ?? 0);
}
