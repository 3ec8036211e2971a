import { isIP } from "node:net";
import { Command, InvalidArgumentError, Option } from "commander";
import { commandName } from "../command-name.ts";
import type { Endpoint } from "../server/command-line.ts";

/** What `npm run instances --` was asked for. Paths are relative to the working directory. */
export interface InstancesOptions {
  readonly config: string;
  readonly state: string;
  readonly count: number;
  /** What clients connect to. */
  readonly listen: Endpoint;
  /** The loopback port of the instances among themselves; instance n listens on the n-th port after it. */
  readonly firstPort: number;
  readonly graceSeconds: number;
  /** Threads of haproxy. */
  readonly threads: number;
  readonly quiet: boolean;
  /** Whether to start haproxy; else the operator runs a balancer. */
  readonly haproxy: boolean;
  /** What to print in place of a start. */
  readonly printed: "haproxy" | "nginx" | null;
}

/** Parses the arguments after `npm run instances --`. Where they ask for help or are wrong, `command` prints that and ends the process. */
export function parseInstancesCommand(args: readonly string[], command = new Command(commandName("instances"))): InstancesOptions {
  const { ip, port, printHaproxy, printNginx, grace, ...rest } = command
    .description(
      "Serve the configured mirrors by several instances behind haproxy, until SIGTERM: each uses a processor core, and each file is at home in one of them.",
    )
    .option("--count <number>", "how many instances", parseCount, 2)
    .option("--config <file>", "configuration: its [vars] say what is mirrored", "wrangler.toml")
    .option("--state <folder>", "the instances' state folders are 1, 2, … in it; each has its part of BUDGET_GB", ".lazy-mirror-instances")
    .option("--ip <address>", "address to listen on; 0.0.0.0 or :: for the whole network", parseIp, "127.0.0.1")
    .option("--port <number>", "port to listen on", parsePort, 8080)
    .option(
      "--first-port <number>",
      "this loopback port is for the instances among themselves, and the ports after it are theirs",
      parsePort,
      8780,
    )
    .option("--threads <number>", "threads of haproxy", parseCount, 1)
    .option("--grace <seconds>", "how long requests under way may go on after SIGTERM", parseSeconds, 8)
    .option("--quiet", "print no line for each request", false)
    .option("--no-haproxy", "start no haproxy: your own haproxy or nginx listens on --port, with what the next two options print")
    .addOption(new Option("--print-haproxy", "print haproxy's configuration, and start nothing").conflicts("printNginx"))
    .addOption(new Option("--print-nginx", "print a configuration of nginx in its place, and start nothing"))
    .allowExcessArguments(false)
    .showHelpAfterError()
    .parse(args, { from: "user" })
    .opts<{
      count: number;
      config: string;
      state: string;
      ip: string;
      port: number;
      firstPort: number;
      threads: number;
      grace: number;
      quiet: boolean;
      haproxy: boolean;
      printHaproxy?: true;
      printNginx?: true;
    }>();
  const printed = printHaproxy === true ? "haproxy" : printNginx === true ? "nginx" : null;
  return { ...rest, graceSeconds: grace, printed, listen: { host: ip, port } };
}

function parseIp(text: string): string {
  const host = text.replace(/^\[(.*)\]$/, "$1");
  if (isIP(host) === 0) throw new InvalidArgumentError("It must be an IPv4 or IPv6 address.");
  return host;
}

function parseCount(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < 1 || count > 64) throw new InvalidArgumentError("It must be a number from 1 to 64.");
  return count;
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port < 1 || port > 65_535) throw new InvalidArgumentError("It must be a number from 1 to 65535.");
  return port;
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (!/^\d+$/.test(text) || seconds < 1 || seconds > 3600)
    throw new InvalidArgumentError("It must be a whole number of seconds, from 1 to 3600.");
  return seconds;
}
