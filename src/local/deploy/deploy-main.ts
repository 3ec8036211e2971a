import { join, resolve } from "node:path";
import { Command, Option } from "commander";
import { describeDeployed, describePlan } from "./deploy-text.ts";
import { deploy } from "./deploy.ts";
import { readDeployPlan } from "./deploy-plan.ts";
import { createWrangler } from "./deploy-wrangler.ts";
import { writeXzModule } from "../xz-module.ts";
import { printLines, printError } from "../print.ts";

const ROOT = join(import.meta.dirname, "../../..");

const R2_LOCATIONS = ["weur", "eeur", "apac", "wnam", "enam", "oc"];

process.exitCode = await main();

async function main(): Promise<number> {
  const command = new Command("npm run deploy --")
    .description("Deploy the mirror to Cloudflare: bucket, lifecycle rules, Worker. You can repeat it safely.")
    .option("--config <file>", "the wrangler.toml to deploy", "wrangler.toml")
    .option("--domains", "make the mirrors' hosts custom domains; DNS records of these names are replaced", false)
    .addOption(new Option("--location <hint>", "where R2 puts the bucket if this command creates it").choices(R2_LOCATIONS))
    .option("--wrangler <file>", "the wrangler to run", join(ROOT, "node_modules/wrangler/bin/wrangler.js"))
    .option("--dry-run", "print each step and do nothing; needs no login and no network", false)
    .allowExcessArguments(false)
    .parse();
  const flags = command.opts<{ config: string; domains: boolean; location?: string; wrangler: string; dryRun: boolean }>();
  const options = {
    config: resolve(flags.config),
    domains: flags.domains,
    location: flags.location,
    hasAccount: process.env["CLOUDFLARE_ACCOUNT_ID"] !== undefined,
  };
  const plan = readDeployPlan(options.config);
  if (!plan.ok) return fail(plan.problems);
  if (flags.dryRun) {
    printLines(describePlan(plan.value, options));
    return 0;
  }
  // A wrangler.toml of the operator's own may lack [build], which writes it too.
  writeXzModule();
  const wrangler = createWrangler([process.execPath, flags.wrangler], ROOT);
  const urls = await deploy(plan.value, options, wrangler, printLines);
  if (!urls.ok) return fail(urls.problems);
  printLines(describeDeployed(plan.value, options, urls.value));
  return 0;
}

function fail(problems: readonly string[]): number {
  for (const problem of problems) printError(problem);
  return 1;
}
