import { makeDeb, placeFile, placeSparseIso } from "../../test/support/large-files.ts";
import { downloadAll, downloadOne } from "../bench-measure.ts";
import { atMost, DIRECT, OURS } from "../bench-report.ts";
import { linesOf, MB, row, spendFirstMiss, takeTurns, withPeers, type Section } from "./section.ts";

const IMAGE_BYTES = 204_800_000;

/** How much later bytes come than from the origin itself, where the origin is what limits. */
export const limited: Section = {
  what: "cold files from an origin of 20 MB/s: is any of it slowed down? Only nginx and ours, as it takes the origin's time",
  seconds: ({ isQuick, repeats }) => 3 * (isQuick ? 4 : 11) * repeats + 5,
  measure: (bench) =>
    withPeers(
      bench,
      bench.contenders.filter(({ name }) => ["nginx", OURS].includes(name)),
      async (peers) => {
        await spendFirstMiss(bench, peers);
        const bytes = bench.isQuick ? IMAGE_BYTES / 4 : IMAGE_BYTES;
        const tally = await takeTurns(bench, peers, bench.repeats, async (peer, turn) => {
          placeSparseIso(bench.files, `/limited/${turn}.iso`, bytes);
          const { path } = placeFile(bench.files, `/held/${turn}_1_all.deb`, makeDeb(`held-${turn}`, 3 * MB));
          const long = await downloadOne(`${peer.url(bench.slow)}/limited/${turn}.iso`);
          const short = await downloadOne(peer.url(bench.slow) + path);
          return { total: long.totalMs, first: long.firstByteMs, held: short.totalMs };
        });
        const section = "Origin at 20 MB/s";
        return [
          row(section, `cold ${Math.round(bytes / MB)} MB`, "ms", "less", tally.of("total"), atMost(1.02, DIRECT)),
          row(section, "first byte of it", "ms", "less", tally.of("first"), atMost(10)),
          row(section, "cold 3 MB, held until verified", "ms", "less", tally.of("held"), atMost(1.1, DIRECT)),
        ];
      },
    ),
};

/** Many clients of one cold file. */
export const crowd: Section = {
  what: "50 clients of one cold file of 20 MB from an origin of 20 MB/s, and 20 of one of 200 MB from a fast one",
  seconds: ({ contenders, isQuick, repeats }) => (contenders.length + 1) * (isQuick ? 3 : 4) * repeats + 5,
  measure: (bench) =>
    withPeers(bench, bench.contenders, async (peers) => {
      await spendFirstMiss(bench, peers);
      const [clients, joiners] = [50, 20];
      const joined = bench.isQuick ? 40_960_000 : IMAGE_BYTES;
      const tally = await takeTurns(bench, peers, bench.repeats, async (peer, turn) => {
        const { path } = placeFile(bench.files, `/crowd/${turn}_1_all.deb`, makeDeb(`crowd-${turn}`, 20 * MB));
        placeSparseIso(bench.files, `/crowd/${turn}.iso`, joined);
        const from = linesOf(bench.slowLog).length;
        // The origin itself shares no line between its clients: one of them shows what a client may hope for.
        const times = (count: number): number => (peer.name === DIRECT ? 1 : count);
        const all = await downloadAll(Array.from({ length: times(clients) }, () => peer.url(bench.slow) + path));
        const gets = linesOf(bench.slowLog).length - from;
        const fast = await downloadAll(Array.from({ length: joiners }, () => `${peer.url(bench.fast)}/crowd/${turn}.iso`));
        const slowest = (timings: typeof all): number => Math.max(...timings.map(({ totalMs }) => totalMs));
        return { slowest: slowest(all), gets, joined: slowest(fast) };
      });
      const section = "Crowds at a cold file";
      return [
        row(section, `slowest of ${clients}, 20 MB at 20 MB/s (direct: one)`, "ms", "less", tally.of("slowest"), atMost(1.15, DIRECT)),
        row(section, "requests to the origin", "", "less", tally.of("gets"), atMost(1)),
        row(section, `slowest of ${joiners}, ${Math.round(joined / MB)} MB from a fast origin`, "ms", "less", tally.of("joined")),
      ];
    }),
};
