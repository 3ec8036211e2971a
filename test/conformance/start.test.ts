import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
const FILE = "/linux/releases/44/notes.rpm";
const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === "::1"));

let folder: string;
let origin: Server;
let answer: (request: IncomingMessage, response: ServerResponse) => unknown;
let started: ChildProcess[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "lazy-mirror-start-"));
  started = [];
  answer = (_request, response) => response.end("Not found");
  origin = createServer((request, response) => answer(request, response)).listen(0, "127.0.0.1");
  await once(origin, "listening");
});

afterEach(async () => {
  for (const child of started) if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
  await Promise.all(started.map(hasExited));
  origin.closeAllConnections();
  origin.close();
  rmSync(folder, { recursive: true, maxRetries: 5 });
});

describe("npm start refuses", () => {
  test("a port that another program uses, in one sentence", async () => {
    const other = createTcpServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as AddressInfo;
    const refusal = await refusedStart("--port", String(port));
    expect(refusal).toEqual([`Cannot listen on 127.0.0.1:${port}: another program uses that port; stop it or choose another with --port.`]);
    // The gateway to local folders is open by then: it keeps no process that has failed to start.
    const config = join(folder, "local.toml");
    writeFileSync(config, `[vars]\n[vars.MIRRORS.tree]\nupstreams = ["file://${folder}"]\n`);
    expect(await refusedStart("--port", String(port), "--config", config)).toEqual(refusal);
    other.close();
  });

  test("a state folder that cannot be written, in one sentence", async () => {
    const refusal = await refusedStart("--state", "/sys/lazy-mirror");
    expect(refusal).toEqual([expect.stringMatching(/^Cannot keep state in "\/sys\/lazy-mirror": .*--state\.$/)]);
  });

  test("a state folder that another server holds, in one sentence", async () => {
    await startServer();
    expect(await refusedStart()).toEqual([expect.stringMatching(/^Cannot use the state folder .* another server runs on it/)]);
  });

  test("a configuration with problems, and lists them all", async () => {
    const config = join(folder, "bad.toml");
    writeFileSync(
      config,
      '[vars]\nBUDGET_GB = "much"\n[vars.MIRRORS.fedora]\nupstreams = ["ftp://x"]\n[vars.MIRRORS.Debian]\nupstreams = []\n',
    );
    const refusal = await refusedStart("--config", config);
    for (const path of ["BUDGET_GB", "MIRRORS.fedora.upstreams[0]", "MIRRORS.Debian"]) {
      expect(refusal).toContainEqual(expect.stringContaining(`Cannot use ${path}`));
    }
  });

  test("an option that it does not know", async () => {
    expect(await refusedStart("--prot", "80")).toContainEqual(expect.stringContaining("--prot"));
  });
});

describe("a running server", () => {
  test("answers its health and tells clients' URLs", async () => {
    const server = await startServer();
    expect((await fetch(`${server.url}/-/health`)).status).toBe(200);
    expect(server.output()).toContain(`${server.url}/fedora/`);
  });

  test.runIf(hasIpv6)("listens on several addresses, IPv6 among them, and once where one answers for the others", async () => {
    const several = await startServer("--listen", "127.0.0.1:0", "--listen", "[::1]:0");
    const [, ipv6] = /127\.0\.0\.1:\d+, (\[::1\]:\d+)/.exec(several.output()) ?? [];
    for (const url of [several.url, `http://${ipv6}`]) expect((await fetch(`${url}/-/health`)).status).toBe(200);
    await several.terminate();
    const { port } = new URL(several.url);
    const all = await startServer("--listen", `0.0.0.0:${port}`, "--listen", `[::]:${port}`);
    for (const host of ["127.0.0.1", "[::1]"]) expect((await fetch(`http://${host}:${port}/-/health`)).status).toBe(200);
    await all.terminate();
  });

  test("prints a line for each request, and none with --quiet", async () => {
    const server = await startServer();
    await fetch(`${server.url}/fedora${FILE}`);
    await expect.poll(server.output).toMatch(/\d{3} {2}GET {2}fedora:.*notes\.rpm/);
    await server.terminate();
    const quiet = await startServer("--quiet");
    await fetch(`${quiet.url}/fedora${FILE}`);
    await quiet.terminate();
    expect(quiet.output()).not.toContain("notes.rpm");
  });

  test("ends on SIGTERM to npm with 0 and leaves no process", async () => {
    const server = await startServer();
    const processes = server.processes();
    expect(processes.map(({ name }) => name)).toContain("workerd");
    expect(await server.terminate()).toBe(0);
    await areGone(processes);
  });

  test("ends with 0 where SIGTERM comes while it starts, and leaves no process", async () => {
    const npm = runNpm([]);
    const processes = (): readonly Process[] => listDescendants(npm.pid ?? 0);
    // workerd answers clients from here on, or a moment later: the server is not announced yet.
    await expect.poll(() => processes().map(({ name }) => name), { interval: 5, timeout: 60_000 }).toContain("workerd");
    const before = processes();
    npm.kill("SIGTERM");
    expect(await hasExited(npm)).toBe(0);
    await areGone(before);
  });

  test("lets a request under way end after SIGTERM", async () => {
    const asked = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    answer = async (_request, response) => {
      asked.resolve();
      await released.promise;
      response.end("late, but whole");
    };
    const server = await startServer();
    const response = fetch(`${server.url}/fedora/linux/releases/44/late.txt`);
    await asked.promise;
    const end = server.terminate();
    await expect.poll(server.output).toContain("Ending");
    released.resolve();
    expect(await (await response).text()).toBe("late, but whole");
    expect(await end).toBe(0);
  });

  test("does not wait for ever for a request under way", async () => {
    const asked = Promise.withResolvers<void>();
    answer = () => asked.resolve();
    const server = await startServer("--grace", "1");
    const response = fetch(`${server.url}/fedora/linux/releases/44/never.txt`).catch(() => null);
    await asked.promise;
    expect(await server.terminate()).toBe(0);
    await response;
  });

  test("that is killed leaves no workerd, and starts again on its port with what it stored", async () => {
    answer = (_request, response) => response.end("an rpm, or so");
    const server = await startServer();
    const cold = await fetch(`${server.url}/fedora${FILE}`);
    expect(await cold.text()).toBe("an rpm, or so");
    const processes = server.processes();
    const node = processes.find(({ command }) => command.includes("src/local/server/main.ts") && !command.startsWith("npm"));
    if (node === undefined) throw new Error(`no server among ${JSON.stringify(processes)}`);
    process.kill(node.pid, "SIGKILL");
    await hasExited(server.npm);
    await areGone(processes);
    answer = (request) => request.destroy();
    const again = await startServer("--port", new URL(server.url).port);
    const warm = await fetch(`${again.url}/fedora${FILE}`);
    expect(await warm.text()).toBe("an rpm, or so");
  });

  test("keeps nothing of workerd's configuration, and runs its cron handler for no other program", async () => {
    const server = await startServer();
    expect(existsSync(join(folder, "state", "workerd"))).toBe(false);
    const workerd = server.processes().find(({ name }) => name === "workerd")?.pid ?? Number.NaN;
    const ports = listPorts(workerd).filter((port) => port !== Number(new URL(server.url).port));
    expect(ports).toHaveLength(1);
    for (const path of ["/", "/cdn-cgi/handler/scheduled", "/-/health"]) {
      expect((await fetch(`http://127.0.0.1:${ports[0]}${path}`)).status).toBe(404);
    }
    expect(server.output()).not.toContain("cron");
  });

  test("ends when its npm is killed", async () => {
    const server = await startServer();
    const processes = server.processes();
    server.npm.kill("SIGKILL");
    await areGone(processes);
  });

  test("whose workerd dies says so and ends with 1", async () => {
    const server = await startServer();
    const processes = server.processes();
    process.kill(processes.find(({ name }) => name === "workerd")?.pid ?? Number.NaN, "SIGKILL");
    expect(await hasExited(server.npm)).toBe(1);
    expect(server.output()).toContain("workerd ended by itself (SIGKILL)");
    await areGone(processes);
  });
});

interface Process {
  readonly pid: number;
  readonly name: string;
  readonly command: string;
}

function runNpm(
  args: readonly string[],
): ChildProcess & { readonly stdout: NodeJS.ReadableStream; readonly stderr: NodeJS.ReadableStream } {
  const config = join(folder, "wrangler.toml");
  const { port } = origin.address() as AddressInfo;
  writeFileSync(config, `[vars.MIRRORS.fedora]\ndistro = "fedora"\nupstreams = ["http://127.0.0.1:${port}"]\n`);
  const defaults = ["--port", "0", "--state", join(folder, "state"), "--config", config];
  const npm = spawn("npm", ["start", "--loglevel=silent", "--", ...defaults, ...args], { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
  started.push(npm);
  return npm;
}

/** The lines that a start which is refused prints as its problems. */
async function refusedStart(...args: readonly string[]): Promise<readonly string[]> {
  const npm = runNpm(args);
  const [problems, output] = await Promise.all([text(npm.stderr), text(npm.stdout), hasExited(npm)]);
  expect(npm.exitCode).not.toBe(0);
  expect(output).not.toContain("listens on");
  return problems.trimEnd().split("\n");
}

async function startServer(...args: readonly string[]) {
  const npm = runNpm(args);
  let output = "";
  const url = await new Promise<string>((resolve, reject) => {
    const read = (chunk: string): void => {
      output += chunk;
      const [, endpoint] = /listens on (\S+?)[.,]? /.exec(output) ?? [];
      if (endpoint !== undefined) resolve(`http://${endpoint}`);
    };
    npm.stdout.setEncoding("utf8").on("data", read);
    npm.stderr.setEncoding("utf8").on("data", read);
    npm.once("close", () => reject(new Error(`The server did not start:\n${output}`)));
  });
  return {
    npm,
    url,
    output: () => output,
    processes: () => listDescendants(npm.pid ?? 0),
    terminate: () => {
      npm.kill("SIGTERM");
      return hasExited(npm);
    },
  };
}

async function hasExited(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return child.exitCode;
}

function listDescendants(pid: number): readonly Process[] {
  const parents = new Map<number, number>();
  for (const entry of readdirSync("/proc")) {
    const stat = /^\d+$/.test(entry) ? readStat(Number(entry)) : null;
    if (stat !== null) parents.set(Number(entry), stat.parent);
  }
  const below = (parent: number): number[] => [...parents].filter(([, of]) => of === parent).flatMap(([child]) => [child, ...below(child)]);
  return [pid, ...below(pid)].map((each) => ({
    pid: each,
    name: readStat(each)?.name ?? "",
    command: readFileSync(`/proc/${each}/cmdline`, "utf8").replaceAll("\0", " "),
  }));
}

/** `/proc/<pid>/stat` is `pid (name) state parent …` (proc_pid_stat(5)); null for a process that is gone or only waits to be reaped. */
function readStat(pid: number): { readonly name: string; readonly parent: number } | null {
  try {
    const [, name = "", state, parent] = /\((.*)\) (\S) (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, "latin1")) ?? [];
    return state === "Z" || state === "X" ? null : { name, parent: Number(parent) };
  } catch {
    return null;
  }
}

/** The ports on which a process listens by IPv4: `sl local_address rem_address st …` of proc_pid_net_tcp(5), where state 0A is to listen. */
function listPorts(pid: number): readonly number[] {
  const descriptors = readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch {
      return ""; // closed while we looked
    }
  });
  return readFileSync(`/proc/${pid}/net/tcp`, "latin1")
    .split("\n")
    .map((line) => line.trim().split(/ +/))
    .filter(([, , , state, , , , , , inode]) => state === "0A" && descriptors.includes(`socket:[${inode}]`))
    .map(([, local = ""]) => Number.parseInt(local.split(":")[1] ?? "", 16));
}

async function areGone(processes: readonly Process[]): Promise<void> {
  const alive = (): readonly Process[] => processes.filter(({ pid, name }) => readStat(pid)?.name === name);
  await expect.poll(alive, { timeout: 20_000 }).toEqual([]);
}
