import { Command, InvalidArgumentError, Option } from "commander";
import { commandName } from "../command-name.ts";
import { endWithReader, printLines } from "../print.ts";
import type { Traffic } from "./amounts.ts";
import { estimateCost, formatCost } from "./cost.ts";

const FACTORS: Readonly<Record<string, number>> = { "": 1, k: 1e3, M: 1e6, G: 1e9 };

const command = new Command(commandName("cost"))
  .description(
    "Estimate what a mirror on Cloudflare costs in a month, at the prices of December 2026. All options but the first three and the plan are guesses: docs/costs.md.",
  )
  .requiredOption("--requests <number>", "requests a month, such as 500M", parseAmount)
  .requiredOption("--gb <number>", "GB (10⁹ bytes) sent a month, such as 1M for a petabyte", parseAmount)
  .option("--stored-gb <number>", "GB (10⁹ bytes) at rest in the bucket", parseAmount, 9)
  .addOption(share("--metadata <percent>", "requests for repositories' metadata", 30))
  .addOption(share("--cold <percent>", "package requests that are the first for their file", 2))
  .addOption(share("--cached <percent>", "warm package requests that a data centre's own cache answers; 0 where it holds nothing", 0))
  .addOption(share("--upper <percent>", "of the slices that the data centre's own cache lacks, those that Workers Cache has", 90))
  .addOption(share("--remembered <percent>", "metadata requests that call no Durable Object", 90))
  .option("--isolates <number>", "copies of the Worker that are busy all the time", parseAmount, 50)
  .addOption(new Option("--plan <plan>", "the Cloudflare plan").choices(["free", "paid"]).default("paid"))
  .allowExcessArguments(false)
  .parse();

endWithReader();
const cost = estimateCost(command.opts<Traffic>());
printLines(formatCost(cost));
process.exitCode = cost.problems.length > 0 ? 1 : 0;

function parseAmount(text: string): number {
  const [, digits, suffix = ""] = /^(\d+(?:\.\d+)?)([kMG]?)$/.exec(text) ?? [];
  if (digits === undefined) throw new InvalidArgumentError("It must be a number, such as 30000, 30k, 1.5M or 2G.");
  return Number(digits) * (FACTORS[suffix] ?? 1);
}

function share(flags: string, description: string, percent: number): Option {
  return new Option(flags, description).argParser(parseShare).default(percent / 100, `${percent} %`);
}

function parseShare(text: string): number {
  const percent = Number(text.replace(/%$/, ""));
  if (!/^\d/.test(text) || Number.isNaN(percent) || percent > 100) throw new InvalidArgumentError("It must be a percentage from 0 to 100.");
  return percent / 100;
}
