/**
 * CPU and memory of workerd while it takes over an index as large as Fedora's and Debian's: fetch, check, digest table. Prints rows for
 * docs/generations.md. Run: node bench/index-figures.ts
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { download } from "../test/support/download.ts";
import type { NamedFile } from "../test/support/large-indexes.ts";
import { findDebianLists, writeDebianLists, writeLargeRpmRepository } from "../test/support/large-indexes.ts";
import { makeDeb, placeFile } from "../test/support/large-files.ts";
import { startMirror } from "../test/support/mirror.ts";
import { startOrigin } from "../test/support/origin.ts";
import { findWorkerds, readFigures } from "../test/support/process-figures.ts";

const FEDORA_PACKAGES = 70_000;
const SAMPLE_MS = 20;
/** No CPU used for so long: all is done. */
const QUIET_MS = 1_500;

interface Case {
  readonly name: string;
  readonly paths: readonly string[];
  write(folder: string): Promise<NamedFile & { readonly index?: string }>;
}

const RPM_PATHS = ["repodata/repomd.xml"];
const CASES: readonly Case[] = [
  ...(["gz", "zst"] as const).map((form) => ({
    name: `rpm-md, ${FEDORA_PACKAGES} packages, primary.xml.${form}`,
    paths: RPM_PATHS,
    write: async (folder: string) => writeLargeRpmRepository(folder, FEDORA_PACKAGES, form),
  })),
  ...(findDebianLists() === null
    ? []
    : [{ name: "deb, bookworm main, Packages", paths: ["dists/bookworm/InRelease"], write: writeDebianLists }]),
];

console.log("| index | CPU | wall | resident before | at most | a package is known |");
console.log("|---|---|---|---|---|---|");
for (const one of CASES) console.log(await measure(one));

async function measure({ name, paths, write }: Case): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-index-"));
  const last = await write(folder);
  // Of the right size and wrong in its bytes: only a digest can tell.
  if (last.path.endsWith(".deb")) placeFile(folder, last.path, makeDeb("wrong", last.size + (last.size % 2)).subarray(0, last.size));
  const origin = await startOrigin(folder);
  const mirror = await startMirror({ mirrors: { m: { upstreams: [origin.url] } } });
  const [pid] = findWorkerds();
  if (pid === undefined) throw new Error("Cannot find workerd among the mirror's processes");
  try {
    await download(`${mirror.url}/-/`);
    const before = readFigures(pid);
    const startedAt = Date.now();
    let [highest, cpuSeconds, quietSince] = [0, before.cpuSeconds, Date.now()];
    const asked = [...paths, ...(last.index === undefined ? [] : [last.index])];
    const answers = (async () => {
      for (const path of asked) {
        const { status, isWhole } = await download(`${mirror.prefixUrl("m")}/${path}`);
        if (status !== 200 || !isWhole) throw new Error(`Cannot get ${path} from the mirror: ${status}\n${mirror.output()}`);
      }
    })();
    let isAnswered = false;
    const answered = answers.then(() => (isAnswered = true));
    while (!isAnswered || Date.now() - quietSince < QUIET_MS) {
      const now = readFigures(pid);
      highest = Math.max(highest, now.residentBytes);
      if (now.cpuSeconds > cpuSeconds + 0.02) quietSince = Date.now();
      cpuSeconds = now.cpuSeconds;
      await sleep(SAMPLE_MS);
    }
    await answered;
    const wallSeconds = (quietSince - startedAt) / 1000;
    const verdict = await download(`${mirror.prefixUrl("m")}/${last.path}`);
    const log = mirror.output();
    const isKnown = /has SHA-256|digest|sha256/i.test(log.slice(log.lastIndexOf("Refused")));
    const mb = (bytes: number): string => `${Math.round(bytes / 1_048_576)} MiB`;
    const figures = [
      `${(cpuSeconds - before.cpuSeconds).toFixed(1)} s`,
      `${wallSeconds.toFixed(1)} s`,
      mb(before.residentBytes),
      mb(highest),
    ];
    return `| ${name} | ${figures.join(" | ")} | ${last.path.endsWith(".deb") ? `${isKnown} (${verdict.status})` : "-"} |`;
  } finally {
    await mirror.remove();
    await origin.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
