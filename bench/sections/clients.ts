import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { openAptRepository } from "../../test/support/apt-repository.ts";
import { openApt } from "../../test/support/clients/apt.ts";
import type { ClientRoot } from "../../test/support/clients/client.ts";
import { openDnf } from "../../test/support/clients/dnf.ts";
import { openRpmRepository } from "../../test/support/rpm-repository.ts";
import { atMost, DIRECT, type Row } from "../bench-report.ts";
import type { Peer } from "../peers/peer.ts";
import { row, spendFirstMiss, takeTurns, withPeers, type Bench, type Section } from "./section.ts";

const PACKAGE_BYTES = 60_000;
const NAMES = (count: number): readonly string[] => Array.from({ length: count }, (_, index) => `bench-${index}`);

/** Real package managers, from no metadata to everything installed. */
export const clients: Section = {
  what: "real apt and dnf: refresh and install packages of 60 KB, cold and warm",
  seconds: ({ contenders, isQuick, repeats }) => (contenders.length + 1) * (isQuick ? 4 : 5 * repeats) + 20,
  measure: (bench) =>
    withPeers(bench, bench.contenders, async (peers) => {
      await spendFirstMiss(bench, peers);
      const [debs, rpms] = bench.isQuick ? [20, 10] : [100, 50];
      const apt = await openAptRepository();
      const rpm = await openRpmRepository();
      try {
        for (const name of NAMES(debs)) await apt.add({ name, version: "1.0-1", bytes: PACKAGE_BYTES });
        for (const name of NAMES(rpms)) await rpm.add({ name, version: "1.0", bytes: PACKAGE_BYTES });
        await apt.publish();
        await rpm.publish();
        return [
          ...(await measureClient(bench, peers, `apt, ${debs} packages`, apt.folder, NAMES(debs), (url) => openApt(url, apt.key))),
          ...(await measureClient(bench, peers, `dnf, ${rpms} packages`, rpm.folder, NAMES(rpms), (url) => openDnf(url))),
        ];
      } finally {
        for (const { folder } of [apt, rpm]) rmSync(folder, { recursive: true });
      }
    }),
};

async function measureClient(
  bench: Bench,
  peers: readonly Peer[],
  what: string,
  repository: string,
  names: readonly string[],
  open: (url: string) => ClientRoot,
): Promise<readonly Row[]> {
  // One turn more than is counted: the first of each peer is thrown away, as programs and libraries are read then.
  const tally = await takeTurns(bench, peers, bench.isQuick ? 1 : bench.repeats + 1, async (peer, turn) => {
    // Under a name of its own each turn, so that each is cold.
    const path = `${what.slice(0, 3)}-${turn}`;
    cpSync(repository, join(bench.files, path), { recursive: true, preserveTimestamps: true });
    const url = `${peer.url(bench.fast)}/${path}`;
    const cold = await installAll(open(url), names);
    const warm = await installAll(open(url), names);
    return turn === 0 && !bench.isQuick ? {} : { cold, warm };
  });
  const section = "Real clients";
  return [
    row(section, `${what}, cold`, "ms", "less", tally.of("cold"), atMost(1.1, DIRECT)),
    row(section, `${what}, warm`, "ms", "less", tally.of("warm"), atMost(1.05, DIRECT)),
  ];
}

/** Milliseconds; throws where the package manager fails. */
async function installAll(client: ClientRoot, names: readonly string[]): Promise<number> {
  const began = performance.now();
  const runs = [await client.refresh(), await client.install(...names.map((name) => ({ name, path: "" })))];
  const took = performance.now() - began;
  client.remove();
  const failed = runs.find(({ code }) => code !== 0);
  if (failed !== undefined) throw new Error(failed.stderr.slice(-300));
  return took;
}
