import { join } from "node:path";
import { printLines, printError } from "../print.ts";
import { parseCommandLine } from "./command-line.ts";
import { hideNewFiles } from "./make-private.ts";
import { type Runtime, SIGNALS } from "./runtime.ts";
import { startServer } from "./server.ts";
import { watchParent } from "../watch-parent.ts";

const ROOT = join(import.meta.dirname, "../../..");

/** On Ctrl-C the terminal signals us, and npm signals us again at once. Only a second signal later than this ends the server without the grace period. */
const IMPATIENT_MS = 1000;

// The reader of our output may end before us (`npm start | head`): that must not end the mirror.
process.stdout.on("error", () => {});
process.stderr.on("error", () => {});

hideNewFiles();
process.exitCode = await main();

async function main(): Promise<number> {
  const options = parseCommandLine(process.argv.slice(2));
  const project = { root: ROOT, file: join(ROOT, "wrangler.toml") };
  let runtime: Runtime | null = null;
  let stoppedAt: number | null = null;
  /** Programs that renew a certificate send SIGHUP, as they do to web servers. */
  let renew = (): void => {};
  const stop = (): void => {
    const now = Date.now();
    if (stoppedAt === null) {
      stoppedAt = now;
      printLines("Ending: requests under way may go on for a moment.");
      void runtime?.stop(options.graceMs);
    } else if (now - stoppedAt > IMPATIENT_MS) {
      if (runtime === null) process.exit(0);
      void runtime.stop(0);
    }
  };
  // Before the start: workerd answers clients before `startServer` returns, and we may be asked to end just then.
  for (const signal of SIGNALS) process.on(signal, () => (signal === "SIGHUP" && options.keyPair !== null ? renew() : stop()));
  watchParent(stop);
  const server = await startServer(options, project, printLines);
  if (!server.ok) {
    for (const problem of server.problems) printError(problem);
    return stoppedAt === null ? 1 : 0;
  }
  ({ runtime, renew } = server.value);
  if (stoppedAt === null) printLines(server.value.description);
  else void runtime.stop(options.graceMs);
  const crash = await runtime.ended;
  if (crash === null) return 0;
  printError(`workerd ended by itself (${crash}): the mirror is down; start it again.`);
  return 1;
}
