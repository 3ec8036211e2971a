import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { argumentsOf } from "./arguments-of.ts";

const ROOT = join(import.meta.dirname, "../../..");

/** Each verb with what its help says; the program of a verb reads `process.argv` by itself. */
const VERBS: Readonly<Record<string, readonly [string, () => Promise<unknown>]>> = {
  start: ["serve the configured mirrors from this machine", () => import("../server/main.ts")],
  instances: ["the same by several instances behind haproxy", () => import("../instances/instances-main.ts")],
  mirror: ["status, ls, purge, pin, warm and the other verbs of a running mirror", () => import("../operator/mirror-command.ts")],
  doctor: ["ask a mirror as its clients do, and say what is wrong", () => import("../doctor/doctor-main.ts")],
  cost: ["estimate what a mirror on Cloudflare costs in a month", () => import("../cost/cost-main.ts")],
  deploy: ["deploy the mirror to Cloudflare; needs wrangler", () => import("../deploy/deploy-main.ts")],
};

const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { readonly version: string };
const program = new Command("lazy-mirror")
  .description("A lazy mirror of Linux distributions: it holds only what its clients asked for.")
  .version(version, "-V, --version")
  .enablePositionalOptions()
  .showHelpAfterError();
for (const [verb, [description, run]] of Object.entries(VERBS)) {
  program
    .command(verb)
    .description(description)
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .argument("[arguments...]")
    .usage("[options]")
    .action(async (given: readonly string[]) => {
      process.argv.splice(2, Infinity, ...argumentsOf(verb, given, { env: process.env, root: ROOT, exists: existsSync }));
      await run();
    });
}
await program.parseAsync();
