import { spawn } from "node:child_process";
import { once } from "node:events";
import { stripVTControlCharacters } from "node:util";
import type { DeployPlan } from "./deploy-plan.ts";
import { remedyFor } from "./deploy-remedy.ts";
import { refused, type Step } from "../step.ts";

/** The result of one wrangler command. */
export interface WranglerResult {
  /** Whether its exit code was 0. */
  readonly ok: boolean;
  readonly stdout: string;
  /** stdout and stderr in the order in which wrangler wrote them, without colours. */
  readonly output: string;
}

/** Runs wrangler with these arguments. Never rejects: if the program cannot start, the result is a failure that says why. */
export type RunWrangler = (args: readonly string[]) => Promise<WranglerResult>;

/** We parse the output, so it must have no colours; errors have some all the same. Wrangler asks no questions, as it finds no terminal. */
const ENVIRONMENT = { NO_COLOR: "1", FORCE_COLOR: "0", WRANGLER_HIDE_BANNER: "true", WRANGLER_SEND_METRICS: "false" };

/** Runs wrangler in the folder `cwd`. `command` is the program and its first arguments. */
export function createWrangler(command: readonly [string, ...string[]], cwd: string): RunWrangler {
  const [program, ...first] = command;
  return async (args) => {
    const child = spawn(program, [...first, ...args], { cwd, env: { ...process.env, ...ENVIRONMENT }, stdio: ["ignore", "pipe", "pipe"] });
    let [stdout, output] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      output += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
    try {
      const [code] = (await once(child, "close")) as [number | null];
      return { ok: code === 0, stdout: stripVTControlCharacters(stdout), output: stripVTControlCharacters(output) };
    } catch (error) {
      return { ok: false, stdout, output: `Cannot run ${program}: ${(error as Error).message}` };
    }
  };
}

/** What each `wrangler r2 bucket` command needs for a bucket in a jurisdiction. */
export function inJurisdiction({ jurisdiction }: DeployPlan["bucket"]): readonly string[] {
  return jurisdiction === undefined ? [] : ["--jurisdiction", jurisdiction];
}

/** A step that a wrangler command ended: its output, and what to do. */
export function failed(action: string, { output }: WranglerResult): Step<never> {
  return refused(`Cannot ${action}:\n${output.trim().replace(/^/gm, "  ")}\n${remedyFor(output)}`);
}
