/**
 * Prints what a fill costs: the memory of workerd while 4 GB pass through it cold and while 50 slow clients read a warm file, and the speed of
 * a cold gigabyte against the same from the origin. Run: node_modules/.bin/node bench/fill-figures.ts
 */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { download } from "../test/support/download.ts";
import { makeIso, placeFile, placeSparseIso } from "../test/support/large-files.ts";
import { startMirror } from "../test/support/mirror.ts";
import { startOrigin } from "../test/support/origin.ts";

const MIB = 1_048_576;
const GIB = 1024 * MIB;
const SAMPLE_MS = 100;
const SLOW_READERS = 50;
const SLOW_BYTES_PER_SECOND = 2 * MIB;
const SLOW_MS = 15_000;

/** The workerd that this process's mirror runs in. */
function findWorkerd(): number {
  const processes = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const [, parent = ""] = /^\d+ \(.*\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8")) ?? [];
        return [{ pid: Number(pid), parent: Number(parent), command: readFileSync(`/proc/${pid}/cmdline`, "utf8") }];
      } catch {
        return [];
      }
    });
  const children = processes.filter(({ parent }) => parent === process.pid).map(({ pid }) => pid);
  const found = processes.find(({ parent, command }) => children.includes(parent) && command.includes("workerd"));
  if (found === undefined) throw new Error("Cannot find the mirror's workerd");
  return found.pid;
}

function residentMib(pid: number): number {
  const [, kib = "0"] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kib) / 1024;
}

/** Runs `work`; what workerd held before, at most meanwhile, and after. */
async function measure(pid: number, work: () => Promise<void>): Promise<{ before: number; peak: number; after: number; seconds: number }> {
  const before = residentMib(pid);
  let peak = before;
  const sampler = setInterval(() => (peak = Math.max(peak, residentMib(pid))), SAMPLE_MS);
  const started = performance.now();
  await work();
  const seconds = (performance.now() - started) / 1000;
  clearInterval(sampler);
  return { before, peak, after: residentMib(pid), seconds };
}

/** Reads without looking at the bytes: the figures are the server's. */
function discard(url: string): Promise<number> {
  return new Promise((resolve, reject) => {
    let length = 0;
    const sent = request(url, { agent: false }, (response) => {
      response.on("data", (bytes: Buffer) => (length += bytes.length));
      response.on("end", () => resolve(length));
      response.on("error", reject);
    });
    sent.on("error", reject);
    sent.end();
  });
}

async function readSlowly(url: string): Promise<void> {
  const started = Date.now();
  await download(url, {
    async onBytes(length) {
      const ahead = (length / SLOW_BYTES_PER_SECOND) * 1000 - (Date.now() - started);
      if (ahead > 0) await sleep(ahead);
    },
    stopAt: (SLOW_BYTES_PER_SECOND * SLOW_MS) / 1000,
  });
}

const print = (name: string, value: string): void => console.log(`${name.padEnd(56)} ${value}`);
const mib = (value: number): string => `${value.toFixed(0)} MiB`;

const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-figures-"));
const origin = await startOrigin(folder);
const mirror = await startMirror({ mirrors: { any: { upstreams: [origin.url] } } });
try {
  const url = (path: string): string => mirror.prefixUrl("any") + path;
  const pid = findWorkerd();
  const warm = placeFile(folder, "/warm.iso", makeIso("warm", 200 * MIB));
  const first = await measure(pid, async () => void (await discard(url(warm.path))));
  print("200 MiB cold, the first of all: before, peak, after", [first.before, first.peak, first.after].map(mib).join("  "));

  for (let times = 1; times <= 3; times++) {
    placeSparseIso(folder, `/cold-${times}.iso`, GIB);
    const direct = await measure(pid, async () => void (await discard(`${origin.url}/cold-${times}.iso`)));
    const through = await measure(pid, async () => void (await discard(url(`/cold-${times}.iso`))));
    const again = await measure(pid, async () => void (await discard(url(`/cold-${times}.iso`))));
    print(`1 GiB: direct, cold, warm (s), run ${times}`, [direct, through, again].map(({ seconds }) => seconds.toFixed(2)).join("  "));
  }

  placeSparseIso(folder, "/cold.iso", 4 * GIB);
  const cold = await measure(pid, async () => void (await discard(url("/cold.iso"))));
  print("4 GiB cold: memory before, peak, after", [cold.before, cold.peak, cold.after].map(mib).join("  "));
  print("4 GiB cold: growth at the peak (should be < 48 MiB)", `${mib(cold.peak - cold.before)} in ${cold.seconds.toFixed(1)} s`);

  const slow = await measure(pid, async () => {
    await Promise.all(Array.from({ length: SLOW_READERS }, () => readSlowly(url(warm.path))));
  });
  print("50 slow readers of a warm 200 MiB: before, peak, after", [slow.before, slow.peak, slow.after].map(mib).join("  "));
  print("50 slow readers: growth at the peak (should be < 48 MiB)", mib(slow.peak - slow.before));
} finally {
  await mirror.remove();
  await origin.close();
  rmSync(folder, { recursive: true, force: true });
}
