import { isIP } from "node:net";
import { Command, InvalidArgumentError } from "commander";
import { commandName } from "../command-name.ts";
import type { KeyPairFiles } from "./key-pair.ts";

/** An address to listen on; port 0 lets the operating system choose. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  /** Clients speak TLS; absent: plain HTTP. */
  readonly isSecure?: true;
}

/** What `npm start --` was asked for. `config` and `state` are paths, relative to the working directory. */
export interface StartOptions {
  readonly config: string;
  readonly state: string;
  readonly endpoints: readonly Endpoint[];
  /** Of https endpoints; null: there are none. */
  readonly keyPair: KeyPairFiles | null;
  /** Print no line for each request. */
  readonly quiet: boolean;
  /** How long requests under way may go on after SIGTERM. */
  readonly graceMs: number;
}

/**
 * Parses the arguments after `npm start --`. If `--listen` is given, `--ip` and `--port` are ignored. Where `args` ask for help or are wrong, `command`
 * prints that and ends the process.
 */
export function parseCommandLine(args: readonly string[], command = new Command(commandName("start"))): StartOptions {
  const { ip, port, listen, grace, quiet, certificate, key, ...paths } = command
    .description("Serve the configured mirrors from this machine, in the foreground, until SIGTERM.")
    .option("--config <file>", "configuration: its [vars] say what is mirrored", "wrangler.toml")
    .option("--ip <address>", "address to listen on; 0.0.0.0 or :: for the whole network", parseIp, "127.0.0.1")
    .option("--port <number>", "port to listen on", parsePort, 8787)
    .option(
      "--listen <address:port>",
      "listen here instead; may be given several times, IPv6 as [::1]:8787, TLS as https://[::]:8443",
      collectEndpoints,
      [],
    )
    .option("--certificate <file>", "certificate of https:// addresses, with those of its authorities after it, in PEM")
    .option("--key <file>", "private key of that certificate, in PEM")
    .option("--state <folder>", "where the stored files and the ledger lie", ".lazy-mirror")
    .option("--grace <seconds>", "how long requests under way may go on after SIGTERM", parseSeconds, 8)
    .option("--quiet", "print no line for each request", false)
    .allowExcessArguments(false)
    .parse(args, { from: "user" })
    .opts<
      {
        config: string;
        state: string;
        ip: string;
        port: number;
        listen: readonly Endpoint[];
        grace: number;
        quiet: boolean;
      } & Partial<KeyPairFiles>
    >();
  const keyPair = certificate === undefined || key === undefined ? null : { certificate, key };
  const isSecure = listen.some((endpoint) => endpoint.isSecure);
  if (isSecure && keyPair === null) command.error("error: --listen https://… needs --certificate <file> and --key <file>");
  if (!isSecure && (certificate ?? key) !== undefined) {
    command.error("error: --certificate and --key are for an address with TLS: --listen https://[::]:8443");
  }
  return { ...paths, endpoints: listen.length > 0 ? listen : [{ host: ip, port }], keyPair, quiet, graceMs: grace * 1000 };
}

function parseIp(text: string): string {
  const host = text.startsWith("[") && text.endsWith("]") ? text.slice(1, -1) : text;
  if (host === "localhost") return "127.0.0.1";
  if (isIP(host) === 0) throw new InvalidArgumentError("It must be an IPv4 or IPv6 address.");
  // Health checks and links are URLs, which have no zone.
  if (host.includes("%"))
    throw new InvalidArgumentError("It must have no zone (%eth0): use an address that is valid on all interfaces, or ::.");
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
  const [, scheme, host, port] = /^(https?:\/\/)?(\[[^\]]*\]|[^:[\]]*):(\d+)\/?$/.exec(text) ?? [];
  if (host === undefined || port === undefined)
    throw new InvalidArgumentError("It must be address:port, such as 0.0.0.0:80, [::]:80 or https://[::]:443.");
  return [...before, { host: parseIp(host), port: parsePort(port), ...(scheme === "https://" ? { isSecure: true } : {}) }];
}
