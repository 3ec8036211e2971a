import { isIP } from "node:net";
import { Command, CommanderError, InvalidArgumentError } from "commander";

/** An address to listen on; port 0 lets the operating system choose. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** What `npm start --` was asked for. `config` and `state` are paths, relative to the working directory. */
export interface StartOptions {
  readonly config: string;
  readonly state: string;
  readonly endpoints: readonly Endpoint[];
  /** Print no line for each request. */
  readonly quiet: boolean;
  /** How long requests under way may go on after SIGTERM. */
  readonly graceMs: number;
}

/** `text` is what to print: the help (`exitCode` 0), or what is wrong with the command line. */
export type CommandLine =
  | { readonly ok: true; readonly options: StartOptions }
  | { readonly ok: false; readonly exitCode: number; readonly text: string };

interface Flags {
  readonly config: string;
  readonly ip: string;
  readonly port: number;
  readonly listen: readonly Endpoint[];
  readonly state: string;
  readonly grace: number;
  readonly quiet?: boolean;
}

/** Parses the arguments after `npm start --`. If `--listen` is given, `--ip` and `--port` are ignored. */
export function parseCommandLine(args: readonly string[]): CommandLine {
  let text = "";
  const write = (part: string): void => {
    text += part;
  };
  const command = new Command("npm start --")
    .description("Serve the configured mirrors from this machine, in the foreground, until SIGTERM.")
    .option("--config <file>", "configuration: its [vars] say what is mirrored", "wrangler.toml")
    .option("--ip <address>", "address to listen on; 0.0.0.0 or :: for the whole network", parseHost, "127.0.0.1")
    .option("--port <number>", "port to listen on", parsePort, 8787)
    .option("--listen <address:port>", "listen here instead; may be given several times, IPv6 as [::1]:8787", collectEndpoints, [])
    .option("--state <folder>", "where the stored files and the ledger lie", ".lazy-mirror")
    .option("--grace <seconds>", "how long requests under way may go on after SIGTERM", parseSeconds, 8)
    .option("--quiet", "print no line for each request")
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeOut: write, writeErr: write });
  try {
    command.parse([...args], { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) return { ok: false, exitCode: error.exitCode, text };
    throw error;
  }
  const flags = command.opts<Flags>();
  return {
    ok: true,
    options: {
      config: flags.config,
      state: flags.state,
      endpoints: flags.listen.length > 0 ? flags.listen : [{ host: flags.ip, port: flags.port }],
      quiet: flags.quiet ?? false,
      graceMs: flags.grace * 1000,
    },
  };
}

function parseHost(text: string): string {
  const host = text.startsWith("[") && text.endsWith("]") ? text.slice(1, -1) : text;
  if (host === "localhost") return "127.0.0.1";
  if (isIP(host) === 0) throw new InvalidArgumentError("It must be an IPv4 or IPv6 address.");
  return host;
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) throw new InvalidArgumentError("It must be a number from 0 to 65535.");
  return port;
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (!/^\d+$/.test(text) || seconds > 3600) throw new InvalidArgumentError("It must be a whole number of seconds, at most 3600.");
  return seconds;
}

function collectEndpoints(text: string, before: readonly Endpoint[]): readonly Endpoint[] {
  const [, host, port] = /^(\[[^\]]*\]|[^:[\]]*):(\d+)$/.exec(text) ?? [];
  if (host === undefined || port === undefined) throw new InvalidArgumentError("It must be address:port, such as 0.0.0.0:80 or [::]:80.");
  return [...before, { host: parseHost(host), port: parsePort(port) }];
}
