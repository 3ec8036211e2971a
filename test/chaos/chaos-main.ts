import { registerHooks } from "node:module";
import { Command, InvalidArgumentError } from "commander";

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

// The classes of the Durable Objects without the platform, and the module that workerd imports as a file.
const XZ = `import { readXzModule } from "${new URL("../../src/local/xz-module.ts", import.meta.url).href}";
export default new WebAssembly.Module(readXzModule());`;
registerHooks({
  resolve(specifier, context, next) {
    if (specifier === "cloudflare:workers")
      return { url: new URL("../support/workers-module.ts", import.meta.url).href, shortCircuit: true };
    // The module is no file before the first build: what it is made of does not matter here.
    if (specifier.endsWith(".wasm")) return { url: new URL(specifier, context.parentURL).href, format: "module", shortCircuit: true };
    return next(specifier, context);
  },
  load: (url, context, next) => (url.endsWith(".wasm") ? { format: "module", source: XZ, shortCircuit: true } : next(url, context)),
});
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
