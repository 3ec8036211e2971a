import { spawn } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { text } from "node:stream/consumers";
import { mustRun } from "../test/support/run-tool.ts";

/** Kernel clock ticks a second in /proc: USER_HZ is 100 on every architecture that Node runs on. */
const TICKS = 100;
const PAGE_KIB = 4;
const SAMPLE_MS = 50;

interface Usage {
  readonly cpuSeconds: number;
  readonly memoryMiB: number;
}

/** What `pid` and all processes below it have used so far (proc_pid_stat(5)). */
export function usageOf(pid: number): Usage {
  const processes = new Map<number, { parent: number; ticks: number; pages: number }>();
  for (const entry of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const fields = readFileSync(`/proc/${entry}/stat`, "latin1")
        .replace(/^.*\) /s, "")
        .split(" ")
        .map(Number);
      // From field 3 on: parent is 4, utime to cstime are 14 to 17, rss is 24.
      const ticks = fields.slice(11, 15).reduce((sum, each) => sum + each, 0);
      processes.set(Number(entry), { parent: fields[1] ?? 0, ticks, pages: fields[21] ?? 0 });
    } catch {
      // It ended while we looked.
    }
  }
  const below = (parent: number): number[] => [
    parent,
    ...[...processes].filter(([, each]) => each.parent === parent).flatMap(([child]) => below(child)),
  ];
  const all = below(pid).flatMap((each) => processes.get(each) ?? []);
  const sum = (field: "ticks" | "pages"): number => all.reduce((total, each) => total + each[field], 0);
  return { cpuSeconds: sum("ticks") / TICKS, memoryMiB: (sum("pages") * PAGE_KIB) / 1024 };
}

/** Runs `work` and gives what the processes used meanwhile: CPU seconds, and MiB above the beginning at the highest sample. */
export async function metered<T>(
  pid: number,
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly cpuSeconds: number; readonly addedMiB: number }> {
  const before = usageOf(pid);
  let peak = before.memoryMiB;
  let isOver = false;
  const sampling = (async () => {
    for (; !isOver; await sleep(SAMPLE_MS)) peak = Math.max(peak, usageOf(pid).memoryMiB);
  })();
  try {
    const result = await work();
    return { result, cpuSeconds: usageOf(pid).cpuSeconds - before.cpuSeconds, addedMiB: peak - before.memoryMiB };
  } finally {
    isOver = true;
    await sampling;
  }
}

interface Hits {
  readonly perSecond: number;
  readonly count: number;
  /** How long half of the requests, and all but one of a hundred, took. wrk adds the requests that were not sent during a pause: a pause counts in full. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** As many requests as `connections` clients that ask again and again get answered. Throws where an answer is no 200. `options` are wrk's, `scriptArgs` its script's. */
export async function hammer(
  url: string,
  connections: number,
  seconds: number,
  options: readonly string[] = [],
  scriptArgs: readonly string[] = [],
): Promise<Hits> {
  const args = [
    "-t",
    "1",
    "-c",
    String(connections),
    "-d",
    `${seconds}s`,
    "--timeout",
    "20s",
    "--latency",
    ...options,
    url,
    "--",
    ...scriptArgs,
  ];
  const output = await mustRun("wrk", args);
  const failed = /Non-2xx.*|Socket errors.*/.exec(output);
  if (failed !== null) throw new Error(`Cannot measure ${url}: ${failed[0]}`);
  const find = (pattern: RegExp): number => Number(pattern.exec(output)?.[1]);
  return {
    perSecond: find(/Requests\/sec: +([\d.]+)/),
    count: find(/(\d+) requests in/),
    p50Ms: parseDuration(/50% +(\S+)/.exec(output)?.[1]),
    p99Ms: parseDuration(/99% +(\S+)/.exec(output)?.[1]),
  };
}

const UNIT_MS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000, m: 60_000 };

/** wrk's "1.23ms" in milliseconds. */
export function parseDuration(duration = ""): number {
  const [, value, unit = ""] = /^([\d.]+)(\w+)$/.exec(duration) ?? [];
  return Number(value) * (UNIT_MS[unit] ?? NaN);
}

/** CPU seconds that the processes below `pid` used while `work` ran. Nothing looks at them meanwhile, which would itself take CPU. */
export async function timed<T>(pid: number, work: () => Promise<T>): Promise<{ readonly result: T; readonly cpuSeconds: number }> {
  const before = usageOf(pid).cpuSeconds;
  const result = await work();
  return { result, cpuSeconds: usageOf(pid).cpuSeconds - before };
}

export interface Timing {
  readonly firstByteMs: number;
  readonly totalMs: number;
  readonly bytes: number;
}

/** Downloads the URLs at once, each on a connection of its own, with curl; throws unless all end well. */
export async function downloadAll(urls: readonly string[], options: readonly string[] = []): Promise<readonly Timing[]> {
  const targets = urls.flatMap((url) => ["-o", "/dev/null", url]);
  const args = ["-Z", "--parallel-immediate", "--parallel-max", "300", "-s", "-S", "-f", ...options];
  const child = spawn("curl", [...args, "-w", "%{time_starttransfer} %{time_total} %{size_download}\n", ...targets], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  const [output, errors, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  if (code !== 0) throw new Error(`Cannot download ${urls[0]}: curl ended with ${code}: ${errors}`);
  return output
    .trimEnd()
    .split("\n")
    .map((line) => {
      const [first = 0, total = 0, bytes = 0] = line.split(" ").map(Number);
      return { firstByteMs: first * 1000, totalMs: total * 1000, bytes };
    });
}

export async function downloadOne(url: string, options: readonly string[] = []): Promise<Timing> {
  const [timing] = await downloadAll([url], options);
  if (timing === undefined) throw new Error(`Cannot download ${url}: curl printed nothing`);
  return timing;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? NaN) : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}
