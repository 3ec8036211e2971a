/**
 * How the one-machine server grows with what it stores: 1,000, 30,000 and 1,000,000 objects of 200 mirrors, 2,000 published repositories, 1,000 clients at once.
 * The state is made once below TMPDIR and used again. Run: node bench/growth.ts [objects …]
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { request, Agent } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Command, InvalidArgumentError } from "commander";
import { usageOf } from "./bench-measure.ts";
import { makeState, mirrorName, objectPath } from "./growth-state.ts";
import { startRepositories } from "./growth-repositories.ts";
import { findFreePort } from "../test/support/mirror.ts";

const MIRRORS = 200;
const REPOSITORIES = 2_000;
const CLIENTS = 1_000;
const READY_MS = 120_000;
/** How long the housekeeping after the start is watched. */
const HOUSE_MS = Number(process.env["HOUSE_SECONDS"] ?? 60) * 1_000;
/** Longer than workerd keeps an idle Durable Object: 70 to 140 s. */
const IDLE_MS = 150_000;
const ROOT = join(import.meta.dirname, "..");
const BASE = process.env["GROWTH_FOLDER"] ?? join(tmpdir(), "lazy-mirror-growth");

const { args } = new Command("node bench/growth.ts")
  .description("Measure how the one-machine server grows with what it stores. It makes the state once below TMPDIR, and keeps it.")
  .argument("[objects...]", "how many objects are stored", parseObjects)
  .parse();
const sizes = args.map(Number);
const table: (readonly string[])[] = [];
for (const objects of sizes.length > 0 ? sizes : [1_000, 30_000, 1_000_000]) table.push(await measure(objects));
const heads = [
  "objects",
  "ready, s",
  "memory idle, MiB",
  "status page",
  "status.json",
  "metrics",
  "hits a second",
  "hits, 99 %, ms",
  "clients at once",
  "their 99 %, ms",
];
heads.push(
  "longest wait during housekeeping, ms",
  "housekeeping, CPU s",
  "ledger, list of 200",
  "ls of all, s",
  "memory after, MiB",
  "ledgers, MB",
  "disk a file, kB",
);
console.log(`| ${heads.join(" | ")} |\n|${" --- |".repeat(heads.length)}`);
for (const row of table) console.log(`| ${row.join(" | ")} |`);

async function measure(objects: number): Promise<readonly string[]> {
  const folder = join(BASE, String(objects));
  const state = join(folder, "state");
  mkdirSync(folder, { recursive: true });
  makeState(state, { objects, mirrors: MIRRORS }, say);
  const origin = await startRepositories();
  const port = await findFreePort();
  const config = join(folder, "wrangler.toml");
  const mirrors = Array.from({ length: MIRRORS }, (_, at) => `[vars.MIRRORS.${mirrorName(at)}]\nupstreams = ["${origin.url}"]\n`);
  writeFileSync(config, `[vars]\nBUDGET_GB = 100\n${mirrors.join("")}`);
  const url = `http://127.0.0.1:${port}`;
  const started = performance.now();
  const server = spawn(
    join(ROOT, "node_modules/.bin/node"),
    [join(ROOT, "src/local/server/main.ts"), "--config", config, "--state", state, "--port", String(port)],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  server.stdout.resume();
  const pid = server.pid ?? 0;
  try {
    while ((await fetch(`${url}/-/health`).catch(() => null))?.status !== 200) {
      if (performance.now() - started > READY_MS) throw new Error(`Cannot measure ${objects} objects: not ready after ${READY_MS} ms`);
      await sleep(10);
    }
    const readySeconds = (performance.now() - started) / 1_000;
    say(`${objects}: ready in ${readySeconds.toFixed(2)} s`);
    const idle = usageOf(pid).memoryMiB;
    const token = readFileSync(join(state, "admin-token"), "utf8").trim();
    const cookie = { headers: { authorization: `Bearer ${token}` } };
    const before = usageOf(pid).cpuSeconds;
    const waits = await watchWaits(url, HOUSE_MS);
    const houseCpu = usageOf(pid).cpuSeconds - before;
    say(
      `${objects}: housekeeping ${houseCpu.toFixed(1)} s of CPU in ${HOUSE_MS / 1000} s, longest wait ${waits.longest.toFixed(0)} ms, ${usageOf(pid).memoryMiB.toFixed(0)} MiB`,
    );
    const published = await publish(url);
    say(`${objects}: ${published} repositories published, ${usageOf(pid).memoryMiB.toFixed(0)} MiB`);
    const basic = { headers: { authorization: `Basic ${Buffer.from(`operator:${token}`).toString("base64")}` } };
    const page = await timed(`${url}/-/status`, basic);
    const json = await timed(`${url}/-/status.json`, basic);
    const metrics = await timed(`${url}/-/metrics`, cookie);
    const few = await load(url, objects, 16, 5_000);
    const many = await load(url, objects, CLIENTS, 5_000);
    const list = await timed(`${url}/-/ledger/objects?limit=200`, cookie);
    const lsStarted = performance.now();
    const ls = spawnSync(
      join(ROOT, "node_modules/.bin/node"),
      [join(ROOT, "src/local/operator/mirror-command.ts"), "--server", url, "--state", state, "ls"],
      { maxBuffer: 1e9 },
    );
    const lsSeconds = (performance.now() - lsStarted) / 1_000;
    say(`${objects}: ls printed ${ls.stdout.toString().split("\n").length - 1} lines in ${lsSeconds.toFixed(1)} s ${ls.stderr.toString()}`);
    const after = usageOf(pid).memoryMiB;
    await sleep(IDLE_MS);
    say(`${objects}: ${after.toFixed(0)} MiB after all, ${usageOf(pid).memoryMiB.toFixed(0)} MiB when idle again`);
    const databases = sizeOf(join(state, "objects"));
    const blocks = Number(spawnSync("du", ["-sk", state]).stdout.toString().split("\t")[0]) * 1_024;
    const figures = [
      readySeconds.toFixed(2),
      idle.toFixed(0),
      page,
      json,
      metrics,
      few.perSecond.toFixed(0),
      few.p99.toFixed(0),
      `${many.perSecond.toFixed(0)}/s`,
      many.p99.toFixed(0),
    ];
    figures.push(
      waits.longest.toFixed(0),
      houseCpu.toFixed(1),
      list,
      lsSeconds.toFixed(1),
      after.toFixed(0),
      (databases / 1e6).toFixed(0),
      (blocks / objects / 1_000).toFixed(1),
    );
    return [objects.toLocaleString("en"), ...figures];
  } finally {
    server.kill("SIGTERM");
    await new Promise((resolve) => server.once("exit", resolve));
    origin.close();
  }
}

/** Asks for `/-/health` again and again: how long does the longest answer take? */
async function watchWaits(url: string, ms: number): Promise<{ readonly longest: number }> {
  let longest = 0;
  for (const end = performance.now() + ms; performance.now() < end; await sleep(5)) {
    const began = performance.now();
    await (await fetch(`${url}/-/health`)).text();
    longest = Math.max(longest, performance.now() - began);
  }
  return { longest };
}

/** Has each mirror publish its part of the repositories. Returns how many did. */
async function publish(url: string): Promise<number> {
  const paths = Array.from(
    { length: REPOSITORIES },
    (_, at) => `/${mirrorName(at % MIRRORS)}/r${Math.floor(at / MIRRORS)}/repodata/repomd.xml`,
  );
  let published = 0;
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (let path = paths.pop(); path !== undefined; path = paths.pop()) {
        const response = await fetch(url + path);
        await response.arrayBuffer();
        if (response.status === 200) published++;
      }
    }),
  );
  return published;
}

/** Hits on objects chosen at random, each client on a connection of its own. */
async function load(
  url: string,
  objects: number,
  clients: number,
  ms: number,
): Promise<{ readonly perSecond: number; readonly p99: number }> {
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  const each = Math.ceil(objects / MIRRORS);
  const took: number[] = [];
  const end = performance.now() + ms;
  await Promise.all(
    Array.from({ length: clients }, async () => {
      while (performance.now() < end) {
        const at = Math.floor(Math.random() * objects);
        const began = performance.now();
        const status = await new Promise((resolve, reject) => {
          request(`${url}/${mirrorName(Math.floor(at / each))}/${objectPath(at % each)}`, { agent }, (response) => {
            response.resume().once("end", () => resolve(response.statusCode));
          })
            .once("error", reject)
            .end();
        });
        if (status !== 200) throw new Error(`Cannot read object ${at}: status ${String(status)}`);
        took.push(performance.now() - began);
      }
    }),
  );
  agent.destroy();
  took.sort((one, other) => one - other);
  return { perSecond: (took.length / ms) * 1_000, p99: took[Math.floor(took.length * 0.99)] ?? NaN };
}

/** Milliseconds until the whole answer is there, and its size. */
async function timed(url: string, init: RequestInit): Promise<string> {
  const began = performance.now();
  const response = await fetch(url, init);
  const { byteLength } = await response.arrayBuffer();
  if (response.status !== 200) throw new Error(`Cannot measure ${url}: status ${response.status}`);
  return `${(performance.now() - began).toFixed(0)} ms (${(byteLength / 1e3).toFixed(0)} kB)`;
}

function sizeOf(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).reduce(
    (sum, entry) => (entry.isFile() ? sum + statSync(join(entry.parentPath, entry.name)).size : sum),
    0,
  );
}

function parseObjects(text: string): string {
  if (!/^[1-9]\d{0,7}$/.test(text)) throw new InvalidArgumentError("It must be a whole number, from 1 to 99999999.");
  return text;
}

function say(line: string): void {
  console.error(line);
}
