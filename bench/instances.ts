/**
 * How several instances behind haproxy grow beside one. Run: node bench/instances.ts [hits | misses | killed] [share of a core for each instance, 0.25]
 * Each instance gets that share (cgroup v1, as root), so that load and haproxy, which need cores too, are not what is measured.
 */
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Argument, Command, InvalidArgumentError } from "commander";
import { download } from "../test/support/download.ts";
import { type Instances, startInstances } from "../test/support/instances.ts";
import { readFigures } from "../test/support/process-figures.ts";
import { mustRun } from "../test/support/run-tool.ts";

const command = new Command("node bench/instances.ts")
  .description("Measure how several instances behind haproxy grow beside one.")
  .addArgument(new Argument("[what]", "what to measure").choices(["hits", "misses", "killed"]).default("hits"))
  .addArgument(new Argument("[share]", "of a core for each instance").argParser(parseShare).default(0.25))
  .parse();
const [what, share] = command.processedArgs as [string, number];
const FILES = 64;
const CONNECTIONS = 16;
const SECONDS = 3;
/** Short, so that an instance that used up its share waits for milliseconds. */
const PERIOD_US = 10_000;
const CGROUPS = "/sys/fs/cgroup/cpu";

const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-instances-bench-"));
const groups: string[] = [];
/** Settled or not: a signal may come while they start. */
let running: Promise<Instances> | null = null;

/** An upstream whose files are as long as their names say, `/4096/7-1.0.tar.gz`; what it sent. */
const sent = new Map<string, number>();
const upstream = createServer((request, response) => {
  const [, length = "0"] = (request.url ?? "").split("/");
  sent.set(request.url ?? "", (sent.get(request.url ?? "") ?? 0) + 1);
  response.writeHead(200, { "content-length": length, etag: `"${request.url?.length}"`, "last-modified": "Thu, 01 Jan 2026 00:00:00 GMT" });
  response.end(Buffer.alloc(Number(length), request.url));
}).listen(0, "127.0.0.1");
await once(upstream, "listening");
const upstreams = [`http://127.0.0.1:${(upstream.address() as AddressInfo).port}`];
const vars = { BUDGET_GB: 4, VERIFY: "structure", MIRRORS: { m: { distro: "fedora", upstreams } } };
const pathsOf = (length: number, count = FILES) => Array.from({ length: count }, (_, at) => `/m/${length}/${at}-1.0.tar.gz`);

for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void cleanUp().finally(() => process.exit(1)));
try {
  if (what === "hits") await measureHits();
  else if (what === "misses") await measureMisses();
  else await measureKilled();
} finally {
  await cleanUp();
}

async function cleanUp(): Promise<void> {
  if (running !== null) await running.then(end, () => {});
  upstream.closeAllConnections();
  upstream.close();
  for (const group of groups.splice(0)) await removeGroup(group);
  rmSync(folder, { recursive: true, force: true });
}

/** Hits by the number of instances: the first without haproxy. */
async function measureHits(): Promise<void> {
  const ones = new Map<number, number>();
  console.log(`hits, ${CONNECTIONS} connections, ${FILES} files, ${share} of a core for each instance`);
  for (const count of [1, 2, 3]) {
    const instances = await start(count);
    limit(instances);
    for (const length of [4096, 102_400, 1_048_576]) {
      await readAll(instances.url, pathsOf(length));
      if (count === 1)
        console.log(`${length} B: one, without haproxy: ${(await hammer(instances.urls[0] ?? "", length)).rate.toFixed(0)}/s`);
      const haproxy = findProgram(instances.pid, "haproxy");
      const before = [haproxy, ...instances.pids().flatMap(withChildren)].map((pid) => readFigures(pid).cpuSeconds);
      const { rate, requests } = await hammer(instances.url, length);
      const after = [haproxy, ...instances.pids().flatMap(withChildren)].map((pid) => readFigures(pid).cpuSeconds);
      const [balancer = 0, ...servers] = after.map((cpu, at) => cpu - (before[at] ?? 0));
      const cpuUs = (seconds: number) => `${((seconds * 1e6) / requests).toFixed(0)} µs`;
      if (count === 1) ones.set(length, rate);
      const ratio = rate / (ones.get(length) ?? rate);
      console.log(
        `${length} B: ${count} behind haproxy: ${rate.toFixed(0)}/s, ${ratio.toFixed(2)} × one; CPU a request: haproxy ${cpuUs(balancer)}, instances ${cpuUs(servers.reduce((a, b) => a + b, 0))}`,
      );
    }
    await end(instances);
  }
}

/** 600 files of 100 KB that no instance has, by the number of instances, and what the upstream sent for them. */
async function measureMisses(): Promise<void> {
  let one = 0;
  for (const count of [1, 2, 3]) {
    const instances = await start(count);
    limit(instances);
    sent.clear();
    const paths = pathsOf(100_000, 600);
    const begin = performance.now();
    await readAll(instances.url, paths);
    const rate = paths.length / ((performance.now() - begin) / 1000);
    if (count === 1) one = rate;
    const total = [...sent.values()].reduce((a, b) => a + b, 0);
    console.log(
      `misses: ${count} instances: ${rate.toFixed(0)}/s, ${(rate / one).toFixed(2)} × one; the upstream sent ${sent.size} files, ${total} bodies`,
    );
    await end(instances);
  }
}

/** Clients that read for 12 s while one of three instances is killed after 3 s. */
async function measureKilled(): Promise<void> {
  const instances = await start(3);
  const paths = pathsOf(100_000, 300);
  await readAll(instances.url, paths);
  sent.clear();
  const problems: string[] = [];
  let done = 0;
  const until = Date.now() + 12_000;
  const clients = Array.from({ length: CONNECTIONS }, async (_, client) => {
    for (let at = client; Date.now() < until; at += CONNECTIONS) {
      const answer = await download(instances.url + (paths[at % paths.length] ?? ""));
      done++;
      if (answer.status !== 200 || !answer.isWhole) problems.push(`${answer.status}${answer.isWhole ? "" : ", cut"}`);
    }
  });
  await sleep(3000);
  for (const pid of withChildren(instances.pids()[0] ?? 0)) process.kill(pid, "SIGKILL");
  await Promise.all(clients);
  console.log(
    `killed: ${done} downloads, ${problems.length} failed (${problems.slice(0, 5).join("; ")}); ${sent.size} of 300 files were fetched again`,
  );
  sent.clear();
  await readAll(instances.url, paths);
  console.log(`after it: ${sent.size} fetched in another round`);
  await end(instances);
}

async function readAll(url: string, paths: readonly string[]): Promise<void> {
  const left = [...paths];
  const clients = Array.from({ length: CONNECTIONS }, async () => {
    for (let path = left.pop(); path !== undefined; path = left.pop()) {
      const { status, isWhole } = await download(url + path);
      if (status !== 200 || !isWhole) throw new Error(`Cannot read ${path}: ${status}`);
    }
  });
  await Promise.all(clients);
}

/** wrk over all files of this length in turn. */
async function hammer(url: string, length: number): Promise<{ readonly rate: number; readonly requests: number }> {
  const script = join(folder, "paths.lua");
  writeFileSync(
    script,
    `local at = 0\nrequest = function() at = at + 1; return wrk.format("GET", "/m/${length}/" .. (at % ${FILES}) .. "-1.0.tar.gz") end\n`,
  );
  const output = await mustRun("wrk", ["-t1", `-c${CONNECTIONS}`, `-d${SECONDS}s`, "-s", script, url]);
  if (/Non-2xx|Socket errors/.test(output)) throw new Error(output);
  return { rate: Number(/Requests\/sec:\s+([\d.]+)/.exec(output)?.[1]), requests: Number(/(\d+) requests in/.exec(output)?.[1]) };
}

/** Gives each instance its share of a core. */
function limit(instances: Instances): void {
  for (const pid of instances.pids()) {
    const group = join(CGROUPS, `lazy-mirror-bench-${process.pid}-${groups.length}`);
    mkdirSync(group);
    groups.push(group);
    writeFileSync(join(group, "cpu.cfs_period_us"), String(PERIOD_US));
    writeFileSync(join(group, "cpu.cfs_quota_us"), String(PERIOD_US * share));
    for (const member of withChildren(pid)) writeFileSync(join(group, "cgroup.procs"), String(member));
  }
}

/** The kernel keeps a group until its last process is gone, which ends a moment after its parent. */
async function removeGroup(group: string): Promise<void> {
  for (let tries = 0; tries < 100 && readFileSync(join(group, "cgroup.procs"), "utf8") !== ""; tries++) await sleep(50);
  rmdirSync(group);
}

function start(count: number): Promise<Instances> {
  running = startInstances(vars, count, "--quiet");
  return running;
}

async function end(instances: Instances): Promise<void> {
  const children = findProgram(instances.pid, "haproxy");
  running = null;
  await instances.remove();
  while (readdirSync("/proc").includes(String(children))) await sleep(20);
}

function childrenOf(pid: number): readonly number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);
}

function withChildren(pid: number): readonly number[] {
  return [pid, ...childrenOf(pid).flatMap(withChildren)];
}

function parseShare(text: string): number {
  const part = Number(text);
  if (!(part >= 0.01 && part <= 64)) throw new InvalidArgumentError("It must be a number of cores, from 0.01 to 64.");
  return part;
}

function findProgram(parent: number, name: string): number {
  const found = childrenOf(parent).find((pid) => readFileSync(`/proc/${pid}/comm`, "utf8").trim() === name);
  if (found === undefined) throw new Error(`Cannot find ${name} below process ${parent}`);
  return found;
}
