import type { Config } from "./config.ts";

/** Names that no public DNS has: of RFC 6761, RFC 6762, RFC 8375 (`home.arpa`) and ICANN (`internal`), and those that home networks use. */
const PRIVATE = /(^|\.)(localhost|local|test|example|invalid|internal|intranet|lan|home|home\.arpa)$/;

/** The first host in the configuration that the whole Internet may know: an exact name, no address, not of a private network; undefined: there is none. */
export function publicHostOf({ mirrors }: Pick<Config, "mirrors">): string | undefined {
  for (const { hosts } of mirrors.values()) {
    for (const pattern of hosts) {
      if (pattern.kind === "exact" && isPublicName(pattern.host)) return pattern.host;
    }
  }
  return undefined;
}

/** Whether the public DNS may have this host: it is no address, and no name of a private network. */
export function isPublicName(host: string): boolean {
  return host.includes(".") && !host.startsWith("[") && !/^[\d.]+$/.test(host) && !PRIVATE.test(host);
}
