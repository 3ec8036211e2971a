import { join } from "node:path";
import { makeDeb, placeFile } from "../../test/support/large-files.ts";
import { downloadOne, hammer, timed } from "../bench-measure.ts";
import { atLeast, atMost, OURS, type Aim, type Row } from "../bench-report.ts";
import { hostOf } from "../peers/lazy-mirror.ts";
import type { Peer } from "../peers/peer.ts";
import { CONSTANT_NAME, giveConstant, PIPE_NAME, startReferences } from "../peers/references.ts";
import { KB, MB, row, takeTurns, withPeers, type Bench, type Section } from "./section.ts";

const SECTION = "Warm hits";
const SIZES = [
  ["4 KB", 4 * KB],
  ["100 KB", 100 * KB],
  ["1 MB", MB],
] as const;
/** Connections, and for how many seconds. */
const LOADS = [
  [1, 1],
  [16, 2],
  [64, 1],
] as const;
type Size = (typeof SIZES)[number][0];

const RATE_AIMS: Readonly<Record<Size, readonly Aim[]>> = {
  "4 KB": [atLeast(0.8, CONSTANT_NAME)],
  "100 KB": [atLeast(1, "squid")],
  "1 MB": [atLeast(2.5, "squid")],
};

/** One hot file of each size, asked for again and again. */
export const hits: Section = {
  what: "one hot file of 4 KB, 100 KB, 1 MB at 1, 16, 64 connections: rate, percentiles, CPU",
  seconds: ({ contenders, hasReferences, isQuick, repeats }) =>
    SIZES.length * (contenders.length + 1 + (hasReferences ? 3 : 0)) * (1 + (isQuick ? 1.2 : 4.6 * repeats)),
  measure: (bench) =>
    withPeers(bench, bench.contenders, async (peers, folder) => {
      const references = bench.hasReferences ? await startReferences(join(folder, "references"), bench.files) : [];
      try {
        const rows: Row[] = [];
        for (const [size, bytes] of SIZES) rows.push(...(await measureSize(bench, [...peers, ...references], size, bytes)));
        return rows;
      } finally {
        for (const reference of references) await reference.stop();
      }
    }),
};

async function measureSize(bench: Bench, peers: readonly Peer[], size: Size, bytes: number): Promise<readonly Row[]> {
  const { path } = placeFile(bench.files, `/warm/${bytes}_1_all.deb`, makeDeb(String(bytes), bytes));
  const urlOf = (peer: Peer): string => peer.url(bench.fast) + path;
  for (const peer of peers.filter(({ name }) => !isReference(name))) await downloadOne(urlOf(peer));
  const constant = peers.find(({ name }) => name === CONSTANT_NAME);
  const model = peers.find(({ name }) => name === OURS) ?? bench.direct;
  if (constant !== undefined) await giveConstant(constant, path, await fetch(urlOf(model)));
  // Thrown away: code is compiled, and caches that keep what is asked for twice have it.
  await takeTurns({ say: () => {} }, peers, 1, async (peer) => ({ rate: (await hammer(urlOf(peer), 16, 1)).perSecond }));
  const rows: Row[] = [];
  for (const [connections, seconds] of bench.isQuick ? LOADS.slice(1, 2) : LOADS) {
    bench.say(`${size}, ${connections} connections`);
    const tally = await takeTurns(bench, peers, bench.repeats, async (peer) => {
      const { result, cpuSeconds } = await timed(peer.pid, () => hammer(urlOf(peer), connections, bench.isQuick ? 1 : seconds));
      const { perSecond, p50Ms, p99Ms, count } = result;
      const host = connections === 16 && peer.name === OURS ? await byHost(bench, peer, path) : NaN;
      return {
        rate: perSecond,
        p50: p50Ms,
        p99: p99Ms,
        cpu: (cpuSeconds * 1000) / count,
        cpuGb: (cpuSeconds * 1e9) / (count * bytes),
        host,
      };
    });
    const what = `${size}, ${connections} connection${connections === 1 ? "" : "s"}`;
    const is16 = connections === 16;
    rows.push(row(SECTION, what, "/s", "more", tally.of("rate"), ...(is16 || size !== "4 KB" ? RATE_AIMS[size] : [])));
    if (is16) rows.push(row(SECTION, `${what}, by host name`, "/s", undefined, tally.of("host")));
    rows.push(row(SECTION, `${what}: p50`, "ms", undefined, tally.of("p50")));
    rows.push(row(SECTION, `${what}: p99`, "ms", "less", tally.of("p99"), ...(is16 && size !== "1 MB" ? [atMost(5)] : [])));
    if (is16) {
      rows.push(row(SECTION, `${what}: CPU`, "s per 1,000", "less", tally.of("cpu"), ...(size === "100 KB" ? [atMost(1.2, "squid")] : [])));
      if (size !== "4 KB") rows.push(row(SECTION, `${what}: CPU by bytes`, "s per GB", undefined, tally.of("cpuGb")));
    }
  }
  return rows;
}

/** The same file where the Host names the mirror, and no first folder does. */
async function byHost(bench: Bench, peer: Peer, path: string): Promise<number> {
  const { origin } = new URL(peer.url(bench.fast));
  const { perSecond } = await hammer(origin + path, 16, 1, ["-H", `Host: ${hostOf(bench.fast)}`]);
  return perSecond;
}

function isReference(name: string): boolean {
  return name === PIPE_NAME || name.endsWith(CONSTANT_NAME);
}
