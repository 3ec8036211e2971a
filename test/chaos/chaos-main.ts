import { Command, InvalidArgumentError } from "commander";
import { registerWorkersHooks } from "../support/workers-hooks.ts";

interface Options {
  readonly seed: number;
  readonly histories: number;
  readonly steps: number;
  readonly log: boolean;
}

const PROGRESS_MS = 5_000;

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("give a whole number");
  return Number(text);
}

const { seed, histories, steps, log } = new Command("chaos")
  .description(
    "Runs random histories of imperfect upstreams, and checks after each step that a client gets through the mirror what it gets directly.",
  )
  .option("--seed <number>", "seed of the first history; the next ones follow", wholeNumber, 1)
  .option("--histories <number>", "how many histories to run", wholeNumber, 200)
  .option("--steps <number>", "take only so many steps of each history", wholeNumber, Infinity)
  .option("--log", "print all that the mirror logged in a history that breaks a promise", false)
  .parse()
  .opts<Options>();

registerWorkersHooks();
const { createHistory } = await import("./history.ts");
const { runHistory } = await import("./run-history.ts");
const { formatViolation, shorten } = await import("./report.ts");

const wallClock = performance.now.bind(performance);
let violations = 0;
let shownAt = wallClock();
const began = shownAt;
for (let at = seed; at < seed + histories; at++) {
  const history = createHistory(at);
  const cut = { ...history, steps: history.steps.slice(0, steps) };
  const found = await runHistory(cut);
  if (found !== null) {
    violations++;
    const short = await shorten(cut, found);
    process.stdout.write(formatViolation(short, log));
  }
  if (wallClock() - shownAt < PROGRESS_MS) continue;
  shownAt = wallClock();
  process.stderr.write(`history ${at} of ${seed + histories - 1}, ${violations} broke a promise\n`);
}
process.stdout.write(
  `${histories} histories from seed ${seed} in ${((wallClock() - began) / 1000).toFixed(1)} s: ${violations === 0 ? "no promise was broken" : `${violations} broke a promise`}\n`,
);
process.exitCode = violations === 0 ? 0 : 1;
