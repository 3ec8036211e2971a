import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { measureClients } from "./bench-clients.ts";
import { formatMarkdown, formatSvg, type Row } from "./bench-report.ts";
import { requirePrograms, SECTIONS, type Bench } from "./bench-sections.ts";
import { startAptCacherNg } from "./peers/apt-cacher-ng.ts";
import { startLazyMirror } from "./peers/lazy-mirror.ts";
import { startNginxCache, startOrigin } from "./peers/nginx.ts";
import type { Peer } from "./peers/peer.ts";
import { startSquid } from "./peers/squid.ts";

const DOCS = join(import.meta.dirname, "../docs");
const LIMIT = 20_000_000;
/** Rows of the plot. */
const PLOTTED = /16 connections$|^cold 1 GB$|^warm 1 GB$|slowest client/;

const all = { ...SECTIONS, clients: measureClients };

const command = new Command("npm run bench --")
  .description("Measure squid, nginx, apt-cacher-ng, the origin itself and Lazy Mirror side by side, on loopback.")
  .option("--quick", "one or two minutes: shorter, smaller, not repeated")
  .option("--only <sections>", `of ${Object.keys(all).join(", ")}, with commas`)
  .option("--peers <names>", "only these, with commas")
  .option("--repeats <number>", "of which the median is told", "3")
  .option("--write", "put the tables and the plot into docs/performance.md and docs/performance.svg")
  .parse();
const flags = command.opts<{ quick?: boolean; only?: string; peers?: string; repeats: string; write?: boolean }>();

await requirePrograms();
const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-bench-"));
// squid and the origin give up root.
chmodSync(folder, 0o755);
const files = join(folder, "files");
mkdirSync(files);
const say = (text: string): void => void process.stderr.write(`${text}\n`);
const started: { stop(): Promise<void> }[] = [];
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => void cleanUp().finally(() => process.exit(1)));
try {
  const origin = await startOrigin(join(folder, "origin"), files, [0, LIMIT]);
  started.push(origin);
  const [fast = 0, slow = 0] = origin.ports;
  const direct: Peer = { name: "direct", url: (port) => `http://127.0.0.1:${port}`, ...origin };
  const peers: Peer[] = [direct];
  for (const [name, start] of Object.entries({
    squid: startSquid,
    nginx: startNginxCache,
    "apt-cacher-ng": startAptCacherNg,
    "Lazy Mirror": startLazyMirror,
  })) {
    if (flags.peers !== undefined && !flags.peers.split(",").includes(name)) continue;
    try {
      const peer = await start(join(folder, name.replace(" ", "-")), origin.ports);
      peers.push(peer);
      started.push(peer);
    } catch (error) {
      say(`Without ${name}: ${(error as Error).message}`);
    }
  }
  const bench: Bench = {
    peers,
    files,
    fast,
    slow,
    fastLog: origin.log(0),
    slowLog: origin.log(1),
    isQuick: flags.quick === true,
    repeats: flags.quick === true ? 1 : Number(flags.repeats),
    say,
  };
  const rows: Row[] = [];
  for (const [name, measure] of Object.entries(all)) {
    if (flags.only !== undefined && !flags.only.split(",").includes(name)) continue;
    say(`== ${name}`);
    rows.push(...(await measure(bench)));
  }
  const names = peers.map(({ name }) => name);
  const tables = formatMarkdown(rows, names);
  process.stdout.write(`${tables}\n`);
  if (flags.write === true)
    writeReport(
      tables,
      formatSvg(
        rows.filter(({ what }) => PLOTTED.test(what)),
        names,
      ),
    );
} finally {
  await cleanUp();
}

async function cleanUp(): Promise<void> {
  await Promise.all(started.map((each) => each.stop()));
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}

function writeReport(tables: string, plot: string): void {
  writeFileSync(join(DOCS, "performance.svg"), plot);
  const page = join(DOCS, "performance.md");
  const text = readFileSync(page, "utf8");
  writeFileSync(page, text.replace(/(<!-- bench -->\n).*(<!-- \/bench -->)/s, `$1\n${tables.replaceAll("$", "$$$$")}\n\n$2`));
}
