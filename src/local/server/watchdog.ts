import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { request } from "node:http";
import { request as requestSecure } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import type { Endpoint } from "./command-line.ts";

/** How often the runtime is asked whether it lives, and how long one answer may take. @internal */
export const PROBE_MS = 3_400;
/** So many probes in a row without an answer, some 10 s, are a runtime that stands still … @internal */
export const MISSES = 3;
/** … if it wanted a processor for more than this share of each of them. A runtime that waits for a slow disk wants none … */
const WANTED_SHARE = 0.5;
/** … and had one for this share: on a machine that gives it none, it may well live. */
const USED_SHARE = 0.1;
/** A probe that took so much longer than its limit says nothing: this process had no turn itself, or the machine slept. */
const LATE_MS = 1_000;

/** What one probe showed. */
export interface Probe {
  /** `silent`: no answer came within PROBE_MS. `unclear`: the runtime could not be asked. */
  readonly outcome: "answered" | "silent" | "unclear";
  /** Milliseconds from its beginning to its end. */
  readonly tookMs: number;
  /** What the runtime used of processors meanwhile; null: unknown. */
  readonly cpu: CpuTimes | null;
}

/** What a process used of processors since it began, or during a time. In milliseconds. */
export interface CpuTimes {
  readonly used: number;
  /** `used`, and the time for which it waited for a processor that other processes had. */
  readonly wanted: number;
}

/** Returns a function that takes each probe in turn, and says whether the runtime stands still while it computes. @internal */
export function createJudge(): (probe: Probe) => boolean {
  let misses = 0;
  return ({ outcome, tookMs, cpu }) => {
    const isPunctual = tookMs < PROBE_MS + LATE_MS;
    const isBusy = cpu !== null && cpu.wanted > tookMs * WANTED_SHARE && cpu.used > tookMs * USED_SHARE;
    misses = outcome === "silent" && isPunctual && isBusy ? misses + 1 : 0;
    return misses >= MISSES;
  };
}

/** What is watched, and how. */
export interface WatchOptions {
  /** The address of the runtime's own socket. */
  readonly endpoint: Endpoint;
  /** The runtime's process. */
  readonly pid: number;
  /** A number that changes whenever the runtime shows in another way that it lives. */
  readonly signs: () => number;
  /** Ends the watch. */
  readonly signal: AbortSignal;
}

/** Resolves when the runtime has stood still for MISSES probes while it computed. Rejects when `signal` ends the watch. */
export async function waitUntilStill({ endpoint, pid, signs, signal }: WatchOptions): Promise<void> {
  const judge = createJudge();
  for (;;) {
    const [before, seen, began] = [await cpuTimesOf(pid), signs(), performance.now()];
    const asked = await ask(endpoint, signal);
    signal.throwIfAborted();
    const tookMs = performance.now() - began;
    const after = await cpuTimesOf(pid);
    const cpu = before && after && { used: after.used - before.used, wanted: after.wanted - before.wanted };
    if (judge({ outcome: signs() === seen ? asked : "answered", tookMs, cpu })) return;
    // A probe that was missed is followed by the next one at once.
    await sleep(Math.max(0, PROBE_MS - tookMs), undefined, { signal, ref: false });
  }
}

/** Asks for `/-/health` on a connection of its own. Whatever the answer is, it shows that the event loop lives. */
function ask({ host, port, isSecure }: Endpoint, signal: AbortSignal): Promise<Probe["outcome"]> {
  return new Promise((resolve) => {
    // It is our own socket, whatever name its certificate has.
    const options = { host, port, path: "/-/health", agent: false, signal, rejectUnauthorized: false };
    const probe = (isSecure === true ? requestSecure : request)(options, (response) => {
      response.resume();
      end("answered");
    });
    const limit = setTimeout(() => end("silent"), PROBE_MS);
    const end = (outcome: Probe["outcome"]): void => {
      clearTimeout(limit);
      resolve(outcome);
      probe.destroy();
    };
    probe.on("error", () => end("unclear"));
    probe.end();
  });
}

/** Unit of the times in proc_pid_stat(5): the kernel shows programs 100 ticks a second, whatever it uses itself. */
const TICK_MS = 10;

/** What a process has used of processors since it began; null where that cannot be known. @internal */
export async function cpuTimesOf(pid: number): Promise<CpuTimes | null> {
  try {
    const used = readStatTimes(await readFile(`/proc/${pid}/stat`, "utf8"));
    // Of the first thread, which runs the event loop. A kernel without this file does not count it.
    const waited = await readFile(`/proc/${pid}/schedstat`, "utf8").then(readWaitTime, () => 0);
    return { used, wanted: used + waited };
  } catch {
    // A system without /proc.
  }
  try {
    const { stdout } = await promisify(execFile)("ps", ["-o", "time=", "-p", String(pid)]);
    const used = readPsTime(stdout);
    return used === null ? null : { used, wanted: used };
  } catch {
    return null;
  }
}

/** utime and stime of proc_pid_stat(5), in milliseconds. The second field, a name in parentheses, may hold spaces. */
function readStatTimes(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** The second field (https://docs.kernel.org/scheduler/sched-stats.html): time on a run queue, written in nanoseconds; here in milliseconds. */
function readWaitTime(schedstat: string): number {
  return Number(schedstat.split(" ")[1]) / 1e6;
}

/** `[[days-]hours:]minutes:seconds[.hundredths]` of ps(1), in milliseconds; null where it is none. @internal */
export function readPsTime(text: string): number | null {
  const [, days = "0", hours = "0", minutes = "", seconds = ""] = /^(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)$/.exec(text.trim()) ?? [];
  if (seconds === "") return null;
  return (((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1_000;
}
