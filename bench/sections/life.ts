import { truncateSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { makeDeb, placeFile, placeSparseIso } from "../../test/support/large-files.ts";
import { holdMemory } from "../bench-memory.ts";
import { downloadAll, downloadOne, median, metered, timed, usageOf } from "../bench-measure.ts";
import { atLeast, atMost, DIRECT, type Row } from "../bench-report.ts";
import type { Peer } from "../peers/peer.ts";
import {
  createTally,
  linesOf,
  MB,
  messageOf,
  rotate,
  row,
  withPeers,
  type Bench,
  type Contender,
  type Section,
  type Tally,
} from "./section.ts";

const IDLE_MS = 2_000;
const SLICE_BYTES = 8 * 1024 * 1024;
const SLOW_READERS = 50;

/** One peer after the other, each alone and anew in each turn, from its start on: so all of them are cold in all turns, and what one holds is gone before the next. */
export const life: Section = {
  what: "each peer alone from its start on: ready, idle memory, the first miss, cold 1 MB, cold and warm 1 GB, the last MB of a cold image",
  seconds: ({ contenders, isQuick, repeats }) => (contenders.length + 1) * (isQuick ? 6 : 10 * repeats + 5),
  measure: async (bench) => {
    const large = bench.isQuick ? 200 * MB : 1000 * MB;
    const tally = createTally(bench.say);
    const small = Array.from(
      { length: bench.isQuick ? 5 : 41 },
      (_, at) => placeFile(bench.files, `/life/${at}_1_all.deb`, makeDeb(`life-${at}`, MB)).path,
    );
    for (const name of ["large", "tail"]) placeImage(bench, `/life/${name}.iso`, large);
    // What is stored, and as much again for what the measured need besides.
    const memory = await holdMemory(4 * large);
    const origin: Contender = { name: DIRECT, start: () => Promise.reject(new Error("the origin runs already")) };
    try {
      for (let turn = 0; turn < bench.repeats; turn++) {
        for (const contender of rotate([origin, ...bench.contenders], turn)) {
          await memory.lend(() =>
            withPeers(bench, contender === origin ? [] : [contender], async ([direct, peer = direct]) => {
              if (peer === undefined || (peer === direct && contender !== origin)) return;
              try {
                tally.note(peer.name, await liveOnce(bench, peer, small, large, turn === 0));
              } catch (error) {
                bench.say(`  ${peer.name}: ${messageOf(error)}`);
              }
            }),
          );
        }
      }
    } finally {
      memory.stop();
    }
    return report(tally, bench.isQuick ? "200 MB" : "1 GB");
  },
};

async function liveOnce(
  bench: Bench,
  peer: Peer,
  [first = "", ...small]: readonly string[],
  bytes: number,
  withSlowReaders: boolean,
): Promise<Record<string, number>> {
  const base = peer.url(bench.fast);
  const isDirect = peer.name === DIRECT;
  if (!isDirect) await sleep(IDLE_MS);
  const idle = usageOf(peer.pid).memoryMiB;
  const firstMiss = await downloadOne(base + first);
  const totals: number[] = [];
  const smallRun = await timed(peer.pid, async () => {
    for (const path of small) totals.push((await downloadOne(base + path)).totalMs);
  });
  const url = `${base}/life/large.iso`;
  const cold = await metered(peer.pid, () => downloadOne(url));
  const warm = await timed(peer.pid, () => downloadOne(url));
  const perGb = (1000 * MB) / bytes;
  const own = isDirect
    ? {}
    : { readyMs: peer.readyMs, idle, added: cold.addedMiB, slow: withSlowReaders ? await slowReaders(peer, url) : NaN };
  return {
    ...own,
    firstMiss: firstMiss.firstByteMs,
    small: median(totals),
    smallCpu: (smallRun.cpuSeconds * 1000) / small.length,
    coldFirst: cold.result.firstByteMs,
    cold: cold.result.totalMs,
    coldCpu: cold.cpuSeconds * perGb,
    warm: bytes / MB / (warm.result.totalMs / 1000),
    warmFirst: warm.result.firstByteMs,
    warmCpu: warm.cpuSeconds * perGb,
    ...(await lastMegabyte(bench, `${base}/life/tail.iso`, bytes)),
  };
}

/** Memory that clients add who read slowly from what is stored. */
async function slowReaders(peer: Peer, url: string): Promise<number> {
  const urls = Array.from({ length: SLOW_READERS }, () => url);
  const { addedMiB } = await metered(peer.pid, () => downloadAll(urls, ["--limit-rate", "1M", "-r", `0-${4 * MB}`]));
  return addedMiB;
}

/** The end of an image that is not stored, first and again, and how much of it the origin sent. */
async function lastMegabyte({ fastLog }: Bench, url: string, bytes: number): Promise<Record<string, number>> {
  const range = ["-r", `${bytes - MB}-${bytes - 1}`];
  const sent = (from: number): number =>
    linesOf(fastLog)
      .slice(from)
      .reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0) / MB;
  const before = linesOf(fastLog).length;
  const { totalMs } = await downloadOne(url, range);
  const fetched = sent(before);
  const between = linesOf(fastLog).length;
  const again: number[] = [];
  for (let time = 0; time < 5; time++) again.push((await downloadOne(url, range)).totalMs);
  return { tail: totalMs, fetched, again: median(again), refetched: sent(between) / 5 };
}

function report(tally: Tally, size: string): readonly Row[] {
  const [start, cold, large, tail, memory] = ["Start", "Cold 1 MB", "Large file", `Last MB of a cold image of ${size}`, "Memory added"];
  return [
    row(start, "ready after", "ms", "less", tally.of("readyMs"), atMost(500)),
    row(start, "idle memory of all processes", "MiB", "less", tally.of("idle"), atMost(200)),
    row(start, "first byte of the first miss (1 MB)", "ms", "less", tally.of("firstMiss"), atMost(10)),
    row(cold, "one after the other", "ms", "less", tally.of("small"), atMost(2, "nginx")),
    row(cold, "one after the other: CPU", "s per 1,000", "less", tally.of("smallCpu")),
    row(large, `cold ${size}: first byte`, "ms", "less", tally.of("coldFirst"), atMost(10)),
    row(large, `cold ${size}`, "ms", "less", tally.of("cold"), atMost(1.2, "nginx")),
    row(large, `cold ${size}: CPU`, "s per GB", "less", tally.of("coldCpu")),
    row(large, `warm ${size}: first byte`, "ms", "less", tally.of("warmFirst")),
    row(large, `warm ${size}`, "MB/s", "more", tally.of("warm"), atLeast(0.8, "nginx")),
    row(large, `warm ${size}: CPU`, "s per GB", "less", tally.of("warmCpu")),
    row(tail, "first time", "ms", "less", tally.of("tail")),
    row(tail, "from the origin", "MB", "less", tally.of("fetched"), atMost((2 * SLICE_BYTES) / MB)),
    row(tail, "asked again", "ms", "less", tally.of("again"), atMost(5)),
    row(tail, "from the origin, each time again", "MB", undefined, tally.of("refetched"), atMost(0)),
    row(memory, `cold ${size}`, "MiB", "less", tally.of("added"), atMost(48)),
    row(memory, `${SLOW_READERS} slow readers`, "MiB", "less", tally.of("slow"), atMost(48)),
  ];
}

/** An image of exactly `bytes` that takes no room. */
function placeImage({ files }: Bench, path: string, bytes: number): void {
  placeSparseIso(files, path, Math.floor(bytes / 2048) * 2048);
  truncateSync(join(files, path), bytes);
}
