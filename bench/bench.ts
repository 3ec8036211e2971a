import { accessSync, chmodSync, constants, mkdirSync, mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { freemem, tmpdir } from "node:os";
import { join } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { mustRun } from "../test/support/run-tool.ts";
import { describeMachine } from "./bench-machine.ts";
import { formatSvg } from "./bench-plot.ts";
import { DIRECT, formatMarkdown, OURS, type Row } from "./bench-report.ts";
import { startAptCacherNg } from "./peers/apt-cacher-ng.ts";
import { startLazyMirror } from "./peers/lazy-mirror.ts";
import { startNginxCache, startOrigin } from "./peers/nginx.ts";
import { stopAll } from "./peers/peer.ts";
import { BARE_NAME, CONSTANT_NAME, PIPE_NAME } from "./peers/references.ts";
import { startSquid } from "./peers/squid.ts";
import { startTrafficServer } from "./peers/traffic-server.ts";
import { startVarnish } from "./peers/varnish.ts";
import { clients } from "./sections/clients.ts";
import { hits } from "./sections/hits.ts";
import { life } from "./sections/life.ts";
import { many } from "./sections/many.ts";
import type { Bench, Contender, Section } from "./sections/section.ts";
import { crowd, limited } from "./sections/slow-origin.ts";

const DOCS = join(import.meta.dirname, "../docs");
const LIMIT = 20_000_000;
/** Rows of the plot. */
const PLOTTED = /16 connections$|^cold 1 GB$|^warm 1 GB$|^one after the other$|^slowest|as likely|, cold$/;
const MEMORY_FOLDER = "/dev/shm";
/** What the largest section keeps at once: an image that is stored, one that is fetched for its end, and 400 MB in each peer. */
const NEEDED_BYTES = 10e9;
const RIVALS: readonly Contender[] = [
  { name: "squid", start: startSquid },
  { name: "nginx", start: startNginxCache },
  { name: "Varnish", start: startVarnish },
  { name: "Traffic Server", start: startTrafficServer },
  { name: "apt-cacher-ng", start: startAptCacherNg },
];
const SECTIONS: Readonly<Record<string, Section>> = { hits, many, life, limited, crowd, clients };

const CHOICES = [...RIVALS.map(({ name }) => name), OURS, "references"];

const command = new Command("npm run bench --")
  .description("Measure other caches, the origin itself, the runtime's limits and Lazy Mirror side by side, on loopback.")
  .option("--quick", "about four minutes: shorter, smaller, not repeated")
  .option("--only <sections>", `of ${Object.keys(SECTIONS).join(", ")}, with commas`, parseList(Object.keys(SECTIONS)))
  .option("--peers <names>", `of ${CHOICES.join(", ")}, with commas`, parseList(CHOICES))
  .option("--repeats <number>", "turns of each peer; the report shows their median", parseRepeats, 3)
  .option("--folder <path>", `for all files (default: ${MEMORY_FOLDER} if it has room, else TMPDIR)`)
  .option("--write", "put the tables and the plot into docs/performance.md and docs/performance.svg")
  .parse();
const flags = command.opts<{ quick?: boolean; only?: string[]; peers?: string[]; repeats: number; folder?: string; write?: boolean }>();
if (flags.write === true && (flags.only ?? flags.peers) !== undefined)
  command.error("error: --write replaces all tables of the page, so that neither --only nor --peers goes with it.");
const isWanted = (list: readonly string[] | undefined, name: string): boolean => list === undefined || list.includes(name);

await mustRun("sh", ["-c", "command -v curl wrk nginx"]);
const folder = mkdtempSync(join(flags.folder ?? chooseFolder(), "lazy-mirror-bench-"));
// What tests make for the package managers lies beside it.
process.env["TMPDIR"] = folder;
// squid, Varnish, Traffic Server and the origin give up root.
chmodSync(folder, 0o755);
const files = join(folder, "files");
mkdirSync(files);
const say = (text: string): void => void process.stderr.write(`${text}\n`);
const origin = await startOrigin(join(folder, "origin"), files, [0, LIMIT]);
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => void cleanUp().finally(() => process.exit(1)));
try {
  const [fast = 0, slow = 0] = origin.ports;
  const bench: Bench = {
    direct: { name: DIRECT, url: (port) => `http://127.0.0.1:${port}`, ...origin },
    contenders: [...RIVALS, { name: OURS, start: startLazyMirror }].filter(({ name }) => isWanted(flags.peers, name)),
    hasReferences: isWanted(flags.peers, "references"),
    folder,
    files,
    fast,
    slow,
    fastLog: origin.log(0),
    slowLog: origin.log(1),
    isQuick: flags.quick === true,
    repeats: flags.quick === true ? 1 : flags.repeats,
    say,
  };
  const chosen = Object.entries(SECTIONS).filter(([name]) => isWanted(flags.only, name));
  const total = chosen.reduce((sum, [, section]) => sum + section.seconds(bench), 0);
  const machine = await describeMachine(folder);
  say(`${machine}\nAbout ${formatMinutes(total)} in all.`);
  const rows: Row[] = [];
  for (const [name, section] of chosen) {
    say(`== ${name}: ${section.what}; about ${formatMinutes(section.seconds(bench))}`);
    const began = performance.now();
    rows.push(...(await section.measure(bench)));
    say(`== ${name} took ${formatMinutes((performance.now() - began) / 1000)}`);
  }
  const names = [DIRECT, ...RIVALS.map(({ name }) => name), CONSTANT_NAME, BARE_NAME, PIPE_NAME, OURS];
  const tables = `${machine}\n\n${formatMarkdown(rows, { names, rivals: RIVALS.map(({ name }) => name) })}`;
  process.stdout.write(`${tables}\n`);
  const plotted = rows.filter(({ what }) => PLOTTED.test(what));
  if (flags.write === true) writeReport(tables, formatSvg(plotted, names));
} finally {
  await cleanUp();
}

/** Parses names with commas between them, each one of `choices`. */
function parseList(choices: readonly string[]): (text: string) => readonly string[] {
  return (text) => {
    const names = text.split(",");
    const unknown = names.find((name) => !choices.includes(name));
    if (unknown !== undefined) throw new InvalidArgumentError(`"${unknown}" is none of ${choices.join(", ")}.`);
    return names;
  };
}

function parseRepeats(text: string): number {
  if (!/^[1-9]\d?$/.test(text)) throw new InvalidArgumentError("It must be a whole number, from 1 to 99.");
  return Number(text);
}

async function cleanUp(): Promise<void> {
  await stopAll();
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}

/** In memory, where there is room: a disk's write-back and the package managers' fsync would hide everything else. */
function chooseFolder(): string {
  try {
    accessSync(MEMORY_FOLDER, constants.W_OK);
    const { bavail, bsize } = statfsSync(MEMORY_FOLDER);
    if (bavail * bsize > NEEDED_BYTES && freemem() > NEEDED_BYTES) return MEMORY_FOLDER;
  } catch {
    // No such folder here.
  }
  return tmpdir();
}

function formatMinutes(seconds: number): string {
  return seconds < 90 ? `${Math.round(seconds)} s` : `${(seconds / 60).toFixed(1)} minutes`;
}

function writeReport(tables: string, plot: string): void {
  writeFileSync(join(DOCS, "performance.svg"), plot);
  const page = join(DOCS, "performance.md");
  const text = readFileSync(page, "utf8");
  writeFileSync(page, text.replace(/(<!-- bench -->\n).*(<!-- \/bench -->)/s, `$1\n${tables.replaceAll("$", "$$$$")}\n\n$2`));
}
