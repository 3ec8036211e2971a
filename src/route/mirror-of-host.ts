import type { HostPattern, Mirror } from "../config/config.ts";

/** The mirror that a host (as `parseHost` gives it) is mapped to. A pattern of the whole name wins over one of the first label (`fedora.*`). */
export function mirrorOfHost(mirrors: ReadonlyMap<string, Mirror>, host: string): Mirror | undefined {
  const find = (matches: (pattern: HostPattern) => boolean) => [...mirrors.values()].find(({ hosts }) => hosts.some(matches));
  const label = host.slice(0, Math.max(0, host.indexOf(".")));
  return (
    find((pattern) => pattern.kind === "exact" && pattern.host === host) ??
    find((pattern) => pattern.kind === "label" && pattern.label === label)
  );
}

const LOOPBACK = /^(?:localhost|\[::1\]|127(?:\.\d{1,3}){3})$/;

/**
 * Whether a host is certainly ours: configured, loopback, one of `ownHosts` (names and addresses of the server), or on workers.dev where `isAtEdge`:
 * Cloudflare's front end took the request, and it hands over those alone that are for this Worker's own name there. Any other Host is only a client's
 * claim: links that are built from it would lead wherever an attacker wants.
 */
export function isOwnHost(
  mirrors: ReadonlyMap<string, Mirror>,
  host: string,
  ownHosts: readonly string[] = [],
  isAtEdge: boolean = true,
): boolean {
  if (mirrorOfHost(mirrors, host) !== undefined || LOOPBACK.test(host) || ownHosts.includes(host)) return true;
  return isAtEdge && host.endsWith(".workers.dev");
}
