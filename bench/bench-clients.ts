import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { openAptRepository } from "../test/support/apt-repository.ts";
import { openApt } from "../test/support/clients/apt.ts";
import type { ClientRoot } from "../test/support/clients/client.ts";
import { openDnf } from "../test/support/clients/dnf.ts";
import { openRpmRepository } from "../test/support/rpm-repository.ts";
import { median } from "./bench-measure.ts";
import { atMost, OURS, type Row } from "./bench-report.ts";
import type { Bench } from "./bench-sections.ts";

const PACKAGE_BYTES = 60_000;
const NAMES = (count: number): readonly string[] => Array.from({ length: count }, (_, index) => `bench-${index}`);

/** Real package managers, from no metadata to everything installed. */
export async function measureClients(bench: Bench): Promise<readonly Row[]> {
  const [debs, rpms] = bench.isQuick ? [20, 10] : [100, 50];
  const apt = await openAptRepository();
  const rpm = await openRpmRepository();
  for (const name of NAMES(debs)) await apt.add({ name, version: "1.0-1", bytes: PACKAGE_BYTES });
  for (const name of NAMES(rpms)) await rpm.add({ name, version: "1.0", bytes: PACKAGE_BYTES });
  await apt.publish();
  await rpm.publish();
  const rows = [
    ...(await measureClient(bench, `apt, ${debs} packages`, apt.folder, NAMES(debs), (url) => openApt(url, apt.key))),
    ...(await measureClient(bench, `dnf, ${rpms} packages`, rpm.folder, NAMES(rpms), (url) => openDnf(url))),
  ];
  for (const { folder } of [apt, rpm]) rmSync(folder, { recursive: true });
  return rows;
}

async function measureClient(
  bench: Bench,
  what: string,
  repository: string,
  names: readonly string[],
  open: (url: string) => ClientRoot,
): Promise<readonly Row[]> {
  const cold = new Map<string, number[]>();
  const warm = new Map<string, number[]>();
  for (let turn = 0; turn < bench.repeats; turn++) {
    // Under a name of its own each turn, so that each is cold.
    const path = `${what.slice(0, 3)}-${turn}`;
    cpSync(repository, join(bench.files, path), { recursive: true, preserveTimestamps: true });
    for (const peer of bench.peers) {
      for (const times of [cold, warm]) {
        const client = open(`${peer.url(bench.fast)}/${path}`);
        const began = performance.now();
        const runs = [await client.refresh(), await client.install(...names.map((name) => ({ name, path: "" })))];
        const took = performance.now() - began;
        client.remove();
        const failed = runs.find(({ code }) => code !== 0);
        if (failed === undefined) times.set(peer.name, [...(times.get(peer.name) ?? []), took]);
        bench.say(
          `${peer.name}: ${what} ${times === cold ? "cold" : "warm"} ${failed === undefined ? `${took.toFixed(0)} ms` : failed.stderr.slice(-300)}`,
        );
      }
    }
  }
  const row = (kind: string, times: ReadonlyMap<string, readonly number[]>, limit: number): Row => {
    const values = new Map([...times].map(([peer, all]) => [peer, median(all)]));
    return {
      section: "Real clients",
      what: `${what}, ${kind}`,
      unit: "ms",
      values,
      target: values.has(OURS) ? atMost(values, limit, "direct") : undefined,
    };
  };
  return [row("cold", cold, 1.1), row("warm", warm, 1.05)];
}
