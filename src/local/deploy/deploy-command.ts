import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { Command, Option } from "commander";
import { LOCATIONS } from "../../config/config.ts";
import { describeDeployed, describePlan, noDomains } from "./deploy-text.ts";
import { deploy } from "./deploy.ts";
import { readDeployPlan } from "./deploy-plan.ts";
import { noLocalUploads } from "./deploy-uploads.ts";
import type { RunWrangler } from "./deploy-wrangler.ts";
import { commandName, isInstalledCommand } from "../command-name.ts";
import { writeXzModule } from "../xz-module.ts";

/** The project's folder. */
export const ROOT = join(import.meta.dirname, "../../..");

/** Where wrangler is, below the folder that it is installed in. */
const WRANGLER = "node_modules/wrangler/bin/wrangler.js";
const NO_WRANGLER =
  "Cannot deploy without wrangler: install it in the folder where you run this (npm install wrangler@4), or in a checkout of the project (npm ci).";

interface Flags {
  readonly config: string;
  readonly domains: boolean;
  readonly location?: string;
  readonly localUploads: boolean;
  readonly wrangler: string;
  readonly dryRun: boolean;
}

/** What the command meets besides its arguments. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Runs the wrangler of this file. */
  readonly createRun: (wrangler: string) => RunWrangler;
  readonly print: (lines: string) => void;
  readonly printError: (lines: string) => void;
}

/** The project's wrangler; for an installed package, which has none, that of the working directory. */
function findWrangler(): string {
  const own = join(ROOT, WRANGLER);
  return existsSync(own) ? own : resolve(WRANGLER);
}

/** `npm run deploy` with these arguments. Returns the exit code; ends the process with a message where the arguments are none of the command's. */
export async function deployCommand(args: readonly string[], { env, createRun, print, printError }: Surroundings): Promise<number> {
  const fail = (problems: readonly string[]): number => {
    for (const problem of problems) printError(problem);
    return 1;
  };
  const command = new Command(commandName("deploy"))
    .description("Deploy the mirror to Cloudflare: bucket, its settings, Worker. You can repeat it safely.")
    .option("--config <file>", "the wrangler.toml to deploy", "wrangler.toml")
    .option("--domains", "make the mirrors' hosts custom domains; DNS records of these names are replaced", false)
    .addOption(new Option("--location <hint>", "where a new bucket and new Durable Objects are to lie").choices(LOCATIONS))
    .option("--local-uploads", "have R2 take what is stored near the writer first, and copy it to the bucket", false)
    // For tests alone.
    .addOption(new Option("--wrangler <file>").default(findWrangler()).hideHelp())
    .option("--dry-run", "print each step and do nothing; needs no login and no network", false)
    .allowExcessArguments(false)
    .parse(args, { from: "user" });
  const flags = command.opts<Flags>();
  const options = {
    config: resolve(flags.config),
    domains: flags.domains,
    location: flags.location,
    localUploads: flags.localUploads,
    hasAccount: env["CLOUDFLARE_ACCOUNT_ID"] !== undefined,
    hasToken: env["CLOUDFLARE_API_TOKEN"] !== undefined,
  };
  // Workers Builds deploys to the Worker that the repository is connected with, whatever the file names it.
  const plan = readDeployPlan(options.config, env["WRANGLER_CI_OVERRIDE_NAME"]);
  if (!plan.ok) return fail(plan.problems);
  const unusable = [
    ...(options.domains && plan.value.domains.length === 0 ? [noDomains(plan.value)] : []),
    ...(options.localUploads && plan.value.bucket.jurisdiction !== undefined ? [noLocalUploads(plan.value.bucket)] : []),
  ];
  if (unusable.length > 0) return fail(unusable);
  if (flags.dryRun) {
    print(describePlan(plan.value, options));
    return 0;
  }
  if (!existsSync(flags.wrangler)) return fail([NO_WRANGLER]);
  // A wrangler.toml of the operator's own may lack [build], which writes it too.
  if (!isInstalledCommand()) writeXzModule();
  const deployed = await deploy(plan.value, options, createRun(flags.wrangler), print);
  if (!deployed.ok) return fail(deployed.problems);
  print(describeDeployed(plan.value, options, deployed.value));
  return 0;
}
