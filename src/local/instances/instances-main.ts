import { join } from "node:path";
import { parseConfig } from "../../config/parse-config.ts";
import { isInstalledCommand } from "../command-name.ts";
import { printError, printLines } from "../print.ts";
import { readVars } from "../project-file.ts";
import { watchParent } from "../watch-parent.ts";
import { parseInstancesCommand } from "./command-line.ts";
import { haproxyConfig } from "./haproxy-config.ts";
import { nginxConfig } from "./nginx-config.ts";
import { balancerOptions, runInstances } from "./run-instances.ts";

const ROOT = join(import.meta.dirname, "../../..");
const SERVER: readonly [string, ...string[]] = [
  process.execPath,
  ...(isInstalledCommand() ? [process.argv[1] ?? "", "start"] : [join(ROOT, "src/local/server/main.ts")]),
];

// The reader of our output may end before us.
process.stdout.on("error", () => {});
process.stderr.on("error", () => {});

process.exitCode = await main();

async function main(): Promise<number> {
  const options = parseInstancesCommand(process.argv.slice(2));
  const vars = readVars(options.config);
  if (!vars.ok) return fail(vars.problems);
  const parsed = parseConfig(vars.value);
  if (!parsed.ok) return fail(parsed.problems);
  const balancer = balancerOptions(options, parsed.config);
  if (options.printed !== null) {
    process.stdout.write(options.printed === "haproxy" ? haproxyConfig(balancer) : nginxConfig(balancer));
    return 0;
  }
  const ending = Promise.withResolvers<number>();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => ending.resolve(0));
  watchParent(() => ending.resolve(0));
  const running = await runInstances(options, vars.value, parsed.config, { server: SERVER }, printLines);
  if (!running.ok) return fail(running.problems);
  const { refused, ready, stop, description } = running.value;
  void ready.then((isReady) => isReady && printLines(description));
  void refused.then((problem) => ending.resolve(fail([problem])));
  const code = await ending.promise;
  printLines("Ending: requests under way may go on for a moment.");
  await stop();
  return code;
}

function fail(problems: readonly string[]): number {
  for (const problem of problems) printError(problem);
  return 1;
}
