/**
 * How much CPU workerd takes for a MB on each way that a body can go, and for a small request. Run: node bench/cpu-per-mb.ts
 *
 * Counts all of the process, the system's share of moving bytes over loopback included; the edge bills the isolate's own, so these are upper
 * bounds, and the difference between the ways is what counts.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeNoise } from "../test/support/fixture.ts";
import { makeDeb } from "../test/support/large-files.ts";
import { startMirror } from "../test/support/mirror.ts";
import { startOrigin } from "../test/support/origin.ts";

const LARGE_BYTES = 200_000_000;
const FILES = 5;
const SMALL_REQUESTS = 2_000;
/** The kernel's unit of CPU time. */
const TICK_MS = 10;

interface CpuMs {
  readonly user: number;
  readonly system: number;
}

const root = mkdtempSync(join(tmpdir(), "lazy-mirror-bench-"));
mkdirSync(join(root, "pool"));
for (let n = 0; n < FILES; n++) writeFileSync(join(root, `pool/large-${n}_1_all.deb`), makeDeb(`large-${n}`, LARGE_BYTES));
writeFileSync(join(root, "pool/small_1_all.deb"), makeDeb("small", 20_000));
mkdirSync(join(root, "work"));
writeFileSync(join(root, "work/passed.bin"), makeNoise("passed", LARGE_BYTES));
const origin = await startOrigin(root);
const mirrors = {
  debian: { distro: "debian", upstreams: [origin.url] },
  koji: { distro: "koji", upstreams: [origin.url] },
};
const mirror = await startMirror({ mirrors, vars: { BUDGET_GB: 100 } });
const pid = findWorkerd();

try {
  const large = Array.from({ length: FILES }, (_, n) => `/debian/pool/large-${n}_1_all.deb`);
  for (const [way, paths] of [
    ["cold: pumped, checked, stored in slices", large],
    ["warm: slices piped natively", large],
    ["passed on unstored (koji work/)", Array.from({ length: FILES }, () => "/koji/work/passed.bin")],
  ] as const) {
    const cpu = await measure(() => fetchAll(paths));
    const megabytes = (LARGE_BYTES * FILES) / 1e6;
    print(way, { user: cpu.user / megabytes, system: cpu.system / megabytes }, "ms a MB");
  }
  await fetchAll(["/debian/pool/small_1_all.deb"]);
  const cpu = await measure(() => fetchAll(Array.from({ length: SMALL_REQUESTS }, () => "/debian/pool/small_1_all.deb")));
  print("warm: a package of 20 kB", { user: cpu.user / SMALL_REQUESTS, system: cpu.system / SMALL_REQUESTS }, "ms a request");
} finally {
  await mirror.remove();
  await origin.close();
  rmSync(root, { recursive: true });
}

async function fetchAll(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const response = await fetch(`${mirror.url}${path}`);
    if (response.status !== 200 || response.body === null) throw new Error(`${path} was answered with ${response.status}`);
    for await (const _ of response.body);
  }
}

async function measure(run: () => Promise<void>): Promise<CpuMs> {
  const before = cpuOf(pid);
  await run();
  const after = cpuOf(pid);
  return { user: after.user - before.user, system: after.system - before.system };
}

function cpuOf(process: number): CpuMs {
  const fields = statOf(process);
  return { user: Number(fields[11]) * TICK_MS, system: Number(fields[12]) * TICK_MS };
}

/** The workerd that the mirror started: a process below this one. */
function findWorkerd(): number {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const parents = new Map(pids.map((name) => [Number(name), Number(statOf(Number(name))[1] ?? 0)]));
  const isOurs = (at: number | undefined): boolean => at !== undefined && at > 1 && (at === process.pid || isOurs(parents.get(at)));
  const found = pids.map(Number).find((candidate) => nameOf(candidate).startsWith("workerd") && isOurs(candidate));
  if (found === undefined) throw new Error("The mirror has started no workerd");
  return found;
}

/** Fields of /proc/<pid>/stat behind the name, which may hold spaces; none where the process has ended. */
function statOf(process: number): readonly string[] {
  try {
    return readFileSync(`/proc/${process}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
  } catch {
    return [];
  }
}

function nameOf(process: number): string {
  try {
    return readFileSync(`/proc/${process}/comm`, "utf8");
  } catch {
    return "";
  }
}

function print(way: string, { user, system }: CpuMs, unit: string): void {
  process.stdout.write(`${way.padEnd(44)} ${user.toFixed(2)} user + ${system.toFixed(2)} system ${unit}\n`);
}
