import { cpus, release, totalmem } from "node:os";
import { execPath } from "node:process";
import { runTool } from "../test/support/run-tool.ts";

/** Programs, and how each is asked for its version. */
const PROGRAMS: Readonly<Record<string, readonly string[]>> = {
  squid: ["squid", "-v"],
  nginx: ["nginx", "-v"],
  Varnish: ["varnishd", "-V"],
  "Traffic Server": ["traffic_server", "-V"],
  "apt-cacher-ng": ["apt-cacher-ng", "-h"],
  wrk: ["wrk", "-v"],
  Node: [execPath, "--version"],
};

/** When, on which machine, in which kind of file system, with which versions: a line for the report. */
export async function describeMachine(folder: string): Promise<string> {
  const [cpu] = cpus();
  const { stdout } = await runTool("findmnt", ["-n", "-o", "FSTYPE", "-T", folder]);
  const versions: string[] = [];
  for (const [name, [command = "", ...args]] of Object.entries(PROGRAMS)) {
    const run = await runTool(command, args, { timeoutMs: 5_000 });
    const version = /\d+\.\d+(?:\.\d+)?/.exec(run.stdout + run.stderr)?.[0];
    if (run.code !== 127 && version !== undefined) versions.push(`${name} ${version}`);
  }
  const memory = Math.round(totalmem() / 2 ** 30);
  return [
    `Measured on ${new Date().toISOString().slice(0, 10)}: ${cpus().length} cores (${cpu?.model.trim()}), ${memory} GiB, Linux ${release().split("-")[0]},`,
    `files on ${stdout.trim().split("\n").at(-1) || "an unknown file system"}; ${versions.join(", ")}.`,
  ].join(" ");
}
