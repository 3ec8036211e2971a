import { linkSync, readFileSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { makeDeb, placeFile, placeSparseIso } from "../test/support/large-files.ts";
import { mustRun } from "../test/support/run-tool.ts";
import { holdMemory } from "./bench-memory.ts";
import { downloadAll, downloadOne, hammer, median, metered } from "./bench-measure.ts";
import { atLeast, atMost, OURS, type Row, type Target } from "./bench-report.ts";
import type { Peer } from "./peers/peer.ts";

/** What the sections measure with. The origin's files lie in `files`; `fast` and `slow` are its ports, without and with a limit. */
export interface Bench {
  readonly peers: readonly Peer[];
  readonly files: string;
  readonly fast: number;
  readonly slow: number;
  readonly slowLog: string;
  readonly fastLog: string;
  readonly isQuick: boolean;
  readonly repeats: number;
  readonly say: (text: string) => void;
}

const MB = 1_000_000;
const DIRECT = "direct";
const SLICE_BYTES = 8 * 1024 * 1024;

export const SECTIONS: Readonly<Record<string, (bench: Bench) => Promise<readonly Row[]>>> = {
  warm: measureWarm,
  large: measureLarge,
  limited: measureLimited,
  crowd: measureCrowd,
  tail: measureTail,
  memory: measureMemory,
  start: async ({ peers }) => [
    row(
      "Start",
      "ready after",
      "ms",
      figures(peers, ({ readyMs }) => readyMs),
      (values) => atMost(values, 2500),
    ),
  ],
};

async function measureWarm(bench: Bench): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const [size, bytes] of [
    ["4 KB", 4_000],
    ["100 KB", 100_000],
    ["1 MB", MB],
  ] as const) {
    const { path } = placeFile(bench.files, `/warm/${bytes}_1_all.deb`, makeDeb(String(bytes), bytes));
    for (const peer of bench.peers) await downloadAll([peer.url(bench.fast) + path]);
    for (const connections of [1, 16, 64]) {
      const all = await repeat(bench, bench.peers, async (peer) => {
        const { result, cpuSeconds } = await metered(peer.pid, () =>
          hammer(peer.url(bench.fast) + path, connections, bench.isQuick ? 1 : 2),
        );
        return { hits: result.perSecond, cpu: (cpuSeconds * 1000) / result.count };
      });
      const target = (values: Values): Target | undefined => {
        if (size === "4 KB") return connections === 16 ? atLeast(values, 3000) : undefined;
        return atLeast(values, size === "1 MB" ? 2 : 0.7, "squid");
      };
      rows.push(row("Warm hits", `${size}, ${connections} connections`, "/s", all("hits"), target));
      if (connections === 16) rows.push(row("Warm hits", `${size}, ${connections} connections: CPU`, "s per 1,000", all("cpu")));
    }
  }
  return rows;
}

async function measureLarge(bench: Bench): Promise<readonly Row[]> {
  const bytes = bench.isQuick ? 200 * MB : 1000 * MB;
  const size = bench.isQuick ? "200 MB" : "1 GB";
  const urls = placeTurns(bench, "large", bytes);
  const memory = await holdMemory(1.5 * bytes * bench.repeats * bench.peers.length);
  const turns = await repeat(bench, bench.peers, async (peer, turn) => {
    const url = peer.url(bench.fast) + urls(turn);
    await memory.release(1.5 * bytes);
    const cold = await metered(peer.pid, () => downloadOne(url));
    const warm = await metered(peer.pid, () => downloadOne(url));
    const perGb = 1000 / (bytes / MB);
    return {
      cold: cold.result.totalMs,
      coldCpu: cold.cpuSeconds * perGb,
      warm: (bytes / MB / warm.result.totalMs) * 1000,
      warmCpu: warm.cpuSeconds * perGb,
    };
  });
  memory.stop();
  return [
    row("Large file", `cold ${size}`, "ms", turns("cold"), (values) => atMost(values, 0.8, "squid")),
    row("Large file", `cold ${size}: CPU`, "s per GB", turns("coldCpu")),
    row("Large file", `warm ${size}`, "MB/s", turns("warm"), (values) => atLeast(values, 4, "squid")),
    row("Large file", `warm ${size}: CPU`, "s per GB", turns("warmCpu")),
  ];
}

async function measureLimited(bench: Bench): Promise<readonly Row[]> {
  const bytes = bench.isQuick ? 60 * MB : 1000 * MB;
  const streamed = placeTurns(bench, "limited", bytes);
  const held = (turn: number): string => placeFile(bench.files, `/held/${turn}_1_all.deb`, makeDeb(`held-${turn}`, 3 * MB)).path;
  const peers = bench.peers.filter(({ name }) => bench.isQuick || name === DIRECT || name === OURS);
  const turns = await repeat({ ...bench, repeats: bench.isQuick ? 1 : Math.min(3, bench.repeats) }, peers, async (peer, turn) => {
    const long = await downloadOne(peer.url(bench.slow) + streamed(turn));
    const short = await downloadOne(peer.url(bench.slow) + held(turn));
    return { total: long.totalMs, first: long.firstByteMs, held: short.totalMs };
  });
  const section = "Origin at 20 MB/s";
  return [
    row(section, `cold ${bytes / MB} MB`, "ms", turns("total"), (values) => atMost(values, 1.02, DIRECT)),
    row(section, "first byte of it", "ms", turns("first"), (values) => atMost(values, 1.1, DIRECT)),
    row(section, "cold 3 MB, held until verified", "ms", turns("held"), (values) => atMost(values, 1.1, DIRECT)),
  ];
}

async function measureCrowd(bench: Bench): Promise<readonly Row[]> {
  const clients = 50;
  const turns = await repeat({ ...bench, repeats: Math.min(3, bench.repeats) }, bench.peers, async (peer, turn) => {
    const { path } = placeFile(bench.files, `/crowd/${peer.name.length}${turn}_1_all.deb`, makeDeb(`crowd-${turn}`, 20 * MB));
    const from = linesOf(bench.slowLog).length;
    const isDirect = peer.name === DIRECT;
    const all = await downloadAll(Array.from({ length: isDirect ? 1 : clients }, () => peer.url(bench.slow) + path));
    return { slowest: Math.max(...all.map(({ totalMs }) => totalMs)), gets: linesOf(bench.slowLog).length - from };
  });
  const section = `${clients} cold clients of 20 MB, origin at 20 MB/s (direct: one)`;
  return [
    row(section, "slowest client", "ms", turns("slowest"), (values) => atMost(values, 1.15, DIRECT)),
    row(section, "requests to the origin", "", turns("gets"), (values) => atMost(values, 1)),
  ];
}

async function measureTail(bench: Bench): Promise<readonly Row[]> {
  const bytes = 1000 * MB;
  const urls = placeTurns(bench, "tail", bytes);
  const peers = bench.peers.filter(({ name }) => name !== "apt-cacher-ng");
  const range = ["-r", `${bytes - MB}-${bytes - 1}`];
  const turns = await repeat({ ...bench, repeats: bench.isQuick ? 1 : bench.repeats }, peers, async (peer, turn) => {
    const url = peer.url(bench.fast) + urls(turn);
    const from = linesOf(bench.fastLog).length;
    const cold = await downloadOne(url, range);
    const between = linesOf(bench.fastLog);
    const again = await repeatOnce(5, () => downloadOne(url, range));
    const sent = (lines: readonly string[]): number => lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0) / MB;
    return { cold: cold.totalMs, fetched: sent(between.slice(from)), again, refetched: sent(linesOf(bench.fastLog).slice(between.length)) };
  });
  const section = "Last MB of a cold 1 GB image";
  return [
    row(section, "first time", "ms", turns("cold")),
    row(section, "from the origin", "MB", turns("fetched"), (values) => atMost(values, (2 * SLICE_BYTES) / MB)),
    row(section, "asked again", "ms", turns("again"), (values) => atMost(values, 5)),
    row(section, "from the origin, asked again", "MB", turns("refetched"), (values) => atMost(values, 0)),
  ];
}

async function measureMemory(bench: Bench): Promise<readonly Row[]> {
  const peers = bench.peers.filter(({ name }) => name !== DIRECT);
  const urls = placeTurns(bench, "memory", 1000 * MB);
  const turns = await repeat({ ...bench, repeats: 1 }, peers, async (peer, turn) => {
    const url = peer.url(bench.fast) + urls(turn);
    const cold = await metered(peer.pid, () => downloadOne(url));
    const slow = await metered(peer.pid, () =>
      downloadAll(
        Array.from({ length: 50 }, () => url),
        ["--limit-rate", "1M", "-r", `0-${5 * MB}`],
      ),
    );
    return { cold: cold.addedMiB, slow: slow.addedMiB };
  });
  return [
    row("Memory added", "cold 1 GB", "MiB", turns("cold"), (values) => atMost(values, 48)),
    row("Memory added", "50 slow readers", "MiB", turns("slow"), (values) => atMost(values, 48)),
  ];
}

type Values = ReadonlyMap<string, number>;

function row(section: string, what: string, unit: string, values: Values, target?: (values: Values) => Target | undefined): Row {
  return { section, what, unit, values, target: values.has(OURS) ? target?.(values) : undefined };
}

function figures(peers: readonly Peer[], of: (peer: Peer) => number): Values {
  return new Map(peers.filter(({ name }) => name !== DIRECT).map((peer) => [peer.name, of(peer)]));
}

/** Takes turns, so that what disturbs the machine disturbs all; gives the medians of each figure by peer. A peer that fails is left out. */
async function repeat<T extends Record<string, number>>(
  bench: Pick<Bench, "repeats" | "say">,
  peers: readonly Peer[],
  measure: (peer: Peer, turn: number) => Promise<T>,
): Promise<(figure: keyof T) => Values> {
  const found = new Map<string, T[]>();
  for (let turn = 0; turn < bench.repeats; turn++) {
    for (const peer of peers) {
      try {
        const one = await measure(peer, turn);
        found.set(peer.name, [...(found.get(peer.name) ?? []), one]);
        bench.say(
          `${peer.name}: ${Object.entries(one)
            .map(([name, value]) => `${name} ${value.toPrecision(4)}`)
            .join(", ")}`,
        );
      } catch (error) {
        bench.say(`${peer.name}: ${(error as Error).message}`);
      }
    }
  }
  return (figure) => new Map([...found].map(([peer, all]) => [peer, median(all.flatMap((each) => each[figure] ?? []))]));
}

async function repeatOnce(times: number, measure: () => Promise<{ readonly totalMs: number }>): Promise<number> {
  const all: number[] = [];
  for (let time = 0; time < times; time++) all.push((await measure()).totalMs);
  return median(all);
}

/** A file that takes no room, under another name each turn, so that each turn is cold. */
function placeTurns({ files }: Bench, name: string, bytes: number): (turn: number) => string {
  const path = (turn: number): string => `/${name}/${turn}.iso`;
  placeSparseIso(files, `/${name}/any.iso`, Math.floor(bytes / 2048) * 2048);
  truncateSync(join(files, name, "any.iso"), bytes);
  return (turn) => {
    if (statSync(join(files, path(turn)), { throwIfNoEntry: false }) === undefined)
      linkSync(join(files, name, "any.iso"), join(files, path(turn)));
    return path(turn);
  };
}

function linesOf(log: string): readonly string[] {
  return readFileSync(log, "utf8")
    .split("\n")
    .filter((line) => line !== "");
}

/** curl and wrk are what everything here measures with. */
export async function requirePrograms(): Promise<void> {
  await mustRun("curl", ["--version"]);
  await mustRun("sh", ["-c", "command -v wrk nginx"]);
}
