import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeDeb, placeFile } from "../../test/support/large-files.ts";
import { mustRun } from "../../test/support/run-tool.ts";
import { hammer, timed } from "../bench-measure.ts";
import type { Peer } from "../peers/peer.ts";
import { KB, row, spendFirstMiss, takeTurns, withPeers, type Section } from "./section.ts";

const BYTES = 100 * KB;
const CONNECTIONS = 16;

/** For wrk: asks for files 1 to args[1] below the URL, each as likely as any other ("uniform"), or the n-th as likely as 1/n ("zipf"). */
const SCRIPT = `
local requests, sums, total = {}, {}, 0
init = function(args)
  for at = 1, tonumber(args[1]) do
    requests[at] = wrk.format("GET", wrk.path .. "/" .. at .. "_1_all.deb")
    total = total + (args[2] == "zipf" and 1 / at or 1)
    sums[at] = total
  end
  math.randomseed(tonumber(args[3]))
end
request = function()
  local wanted, low, high = math.random() * total, 1, #sums
  while low < high do
    local middle = math.floor((low + high) / 2)
    if sums[middle] < wanted then low = middle + 1 else high = middle end
  end
  return requests[low]
end
`;

/** A working set of 400 MB: more than squid's memory. */
export const many: Section = {
  what: "4,000 files of 100 KB, more than squid's memory: cold by 16 connections, then warm at random and by popularity",
  seconds: ({ contenders, isQuick, repeats }) => (contenders.length + 1) * (isQuick ? 5 : 8 + 6 * repeats) + 5,
  measure: (bench) =>
    withPeers(bench, bench.contenders, async (peers) => {
      await spendFirstMiss(bench, peers);
      const count = bench.isQuick ? 500 : 4_000;
      const script = join(bench.folder, "many.lua");
      writeFileSync(script, SCRIPT);
      for (let at = 1; at <= count; at++) placeFile(bench.files, `/many/${at}_1_all.deb`, makeDeb(`many-${at}`, BYTES));
      const base = (peer: Peer): string => `${peer.url(bench.fast)}/many`;
      const filled = await takeTurns(bench, peers, 1, async (peer) => {
        const began = performance.now();
        const { cpuSeconds } = await timed(peer.pid, () => fetchAll(`${base(peer)}/[1-${count}]_1_all.deb`));
        return { rate: (count * 1000) / (performance.now() - began), cpu: (cpuSeconds * 1000) / count };
      });
      const section = `${count.toLocaleString("en")} files of 100 KB, ${CONNECTIONS} connections`;
      const rows = [
        row(section, "cold", "/s", "more", filled.of("rate")),
        row(section, "cold: CPU", "s per 1,000", "less", filled.of("cpu")),
      ];
      for (const kind of ["uniform", "zipf"] as const) {
        // One turn more than the others: the first is thrown away, as caches learn what is asked for.
        const tally = await takeTurns(bench, peers, bench.repeats + 1, async (peer, turn) => {
          const options = ["-s", script];
          const { result, cpuSeconds } = await timed(peer.pid, () =>
            hammer(base(peer), CONNECTIONS, bench.isQuick ? 1 : 2, options, [String(count), kind, String(turn + 1)]),
          );
          return turn === 0 ? {} : { rate: result.perSecond, p99: result.p99Ms, cpu: (cpuSeconds * 1000) / result.count };
        });
        const what = kind === "uniform" ? "warm, each as likely" : "warm, the n-th as likely as 1/n";
        rows.push(row(section, what, "/s", "more", tally.of("rate")));
        rows.push(row(section, `${what}: p99`, "ms", "less", tally.of("p99")));
        rows.push(row(section, `${what}: CPU`, "s per 1,000", "less", tally.of("cpu")));
      }
      return rows;
    }),
};

/** Downloads all that curl's pattern names, by `CONNECTIONS` connections that are used again and again. */
async function fetchAll(pattern: string): Promise<void> {
  await mustRun("curl", ["-Z", "--parallel-max", String(CONNECTIONS), "-s", "-S", "-f", "-o", "/dev/null", pattern]);
}
