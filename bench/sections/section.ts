import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { makeDeb, placeFile } from "../../test/support/large-files.ts";
import { downloadOne, median } from "../bench-measure.ts";
import { reach, type Aim, type Figure, type Row } from "../bench-report.ts";
import type { Peer, StartPeer } from "../peers/peer.ts";

/** A cache that is measured: its name, and what starts it empty. */
export interface Contender {
  readonly name: string;
  readonly start: StartPeer;
}

/** What the sections measure with. The origin's files lie in `files`; `fast` and `slow` are its ports, without and with a limit. */
export interface Bench {
  /** The origin itself, asked without a cache. */
  readonly direct: Peer;
  readonly contenders: readonly Contender[];
  /** Whether the runtime's limits are measured as well, where a section has them. */
  readonly hasReferences: boolean;
  /** For the peers' state; each has a folder of its own below it. */
  readonly folder: string;
  readonly files: string;
  readonly fast: number;
  readonly slow: number;
  readonly fastLog: string;
  readonly slowLog: string;
  readonly isQuick: boolean;
  readonly repeats: number;
  readonly say: (text: string) => void;
}

/** One part of the bench. */
export interface Section {
  /** What it does, in a line. */
  readonly what: string;
  /** About how long it takes, in seconds, by the number of peers. */
  seconds(bench: Bench): number;
  measure(bench: Bench): Promise<readonly Row[]>;
}

export const KB = 1000;
export const MB = 1_000_000;

/**
 * Starts the contenders, all empty, and runs `work` with them and with the origin; then stops them and removes what they hold. One that does not start is left
 * out, by name.
 */
export async function withPeers<T>(
  bench: Bench,
  contenders: readonly Contender[],
  work: (peers: readonly Peer[], folder: string) => Promise<T>,
): Promise<T> {
  const folder = join(bench.folder, `peers-${Math.random().toString(36).slice(2)}`);
  mkdirSync(folder, { recursive: true });
  const started: Peer[] = [];
  try {
    for (const { name, start } of contenders) {
      try {
        started.push(await start(join(folder, name.replace(" ", "-")), [bench.fast, bench.slow]));
      } catch (error) {
        bench.say(`Without ${name}: ${messageOf(error)}`);
      }
    }
    return await work([bench.direct, ...started], folder);
  } finally {
    await Promise.all(started.map((peer) => peer.stop()));
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Has each peer fetch a small file from both origins: what only its first miss costs is measured by itself, in the section `life`. */
export async function spendFirstMiss({ files, fast, slow }: Bench, peers: readonly Peer[]): Promise<void> {
  for (const name of ["first", "second"]) {
    const { path } = placeFile(files, `/spent/${name}_1_all.deb`, makeDeb(name, 100 * KB));
    for (const peer of peers) for (const port of [fast, slow]) await downloadOne(peer.url(port) + path);
  }
}

type Figures = Readonly<Record<string, number>>;

/** Collects figures of peers, turn by turn. */
export interface Tally {
  note(peer: string, figures: Figures): void;
  /** What the peers have in `figure`, those without it left out. */
  of(figure: string): Row["values"];
}

export function createTally(say: Bench["say"]): Tally {
  const all = new Map<string, Figures[]>();
  return {
    note(peer, figures) {
      all.set(peer, [...(all.get(peer) ?? []), figures]);
      const shown = Object.entries(figures)
        .filter(([, value]) => !Number.isNaN(value))
        .map(([name, value]) => `${name} ${value.toPrecision(4)}`);
      say(`  ${peer}: ${shown.join(", ") || "not counted"}`);
    },
    of: (figure) =>
      new Map(
        [...all].flatMap(([peer, turns]): [string, Figure][] => {
          const found = turns.flatMap((turn) => turn[figure] ?? []).filter((value) => !Number.isNaN(value));
          return found.length === 0 ? [] : [[peer, { median: median(found), min: Math.min(...found), max: Math.max(...found) }]];
        }),
      ),
  };
}

/**
 * Measures each peer `turns` times, by turns, so that what disturbs the machine disturbs all; each turn begins with another peer, so that none always follows
 * the same one. A peer that fails has no figure of that turn, and the report of the failure names it.
 */
export async function takeTurns(
  bench: Pick<Bench, "say">,
  peers: readonly Peer[],
  turns: number,
  measure: (peer: Peer, turn: number) => Promise<Figures>,
): Promise<Tally> {
  const tally = createTally(bench.say);
  for (let turn = 0; turn < turns; turn++) {
    for (const peer of rotate(peers, turn)) {
      try {
        tally.note(peer.name, await measure(peer, turn));
      } catch (error) {
        bench.say(`  ${peer.name}: ${messageOf(error)}`);
      }
    }
  }
  return tally;
}

/** The end of what an error says, where programs say what they could not do, on one line. */
export function messageOf(error: unknown): string {
  return String(error instanceof Error ? error.message : error)
    .replaceAll(/\s+/g, " ")
    .trim()
    .slice(-300);
}

/** The same list, beginning `by` places later. */
export function rotate<T>(list: readonly T[], by: number): readonly T[] {
  const at = list.length === 0 ? 0 : by % list.length;
  return [...list.slice(at), ...list.slice(0, at)];
}

/** A row of the report, with what ours should reach in it. */
export function row(
  section: string,
  what: string,
  unit: string,
  better: Row["better"],
  values: Row["values"],
  ...aims: readonly Aim[]
): Row {
  return { section, what, unit, better, values, targets: aims.flatMap((aim) => reach(aim, values) ?? []) };
}

/** The lines of one of the origin's logs: a request each, the bytes of its body last. */
export function linesOf(log: string): readonly string[] {
  return readFileSync(log, "utf8")
    .split("\n")
    .filter((line) => line !== "");
}
