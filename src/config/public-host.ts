import type { Config } from "./config.ts";

/** Top-level names that no public DNS has (RFC 6761, RFC 6762, RFC 8375's `home.arpa`, ICANN's `internal`). */
const PRIVATE = /(^|\.)(localhost|local|test|example|invalid|internal|lan|home\.arpa)$/;

/** The first host in the configuration that the whole Internet may know: an exact name, no address, not of a private network; undefined: there is none. */
export function publicHostOf({ mirrors }: Pick<Config, "mirrors">): string | undefined {
  for (const { hosts } of mirrors.values()) {
    for (const pattern of hosts) {
      if (pattern.kind === "exact" && isPublic(pattern.host)) return pattern.host;
    }
  }
  return undefined;
}

function isPublic(host: string): boolean {
  return host.includes(".") && !host.startsWith("[") && !/^[\d.]+$/.test(host) && !PRIVATE.test(host);
}
