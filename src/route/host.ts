import type { HostPattern, Mirror } from "../config/config.ts";

/** Longest name that DNS carries (RFC 1035 §2.3.4). */
const MAX_HOST_CHARACTERS = 253;
const AUTHORITY = /^(?:(\[[0-9a-f:.]+\])|([a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?)(?::\d{0,5})?$/;

/**
 * The host of a Host header or of a URL's authority: lower case, without port and trailing dot; IPv6 in brackets and in its one short form.
 * Null for anything else, credentials included (RFC 9112 §3.2: the answer to it is 400).
 */
export function parseHost(authority: string): string | null {
  const [, ipv6, name] = AUTHORITY.exec(authority.toLowerCase()) ?? [];
  if (name !== undefined) return name.length <= MAX_HOST_CHARACTERS ? name : null;
  // `URL` knows the short form of an IPv6 address (RFC 5952); no path goes through it.
  return ipv6 !== undefined && URL.canParse(`http://${ipv6}`) ? new URL(`http://${ipv6}`).hostname : null;
}

/** The mirror that a host (as `parseHost` gives it) is mapped to; a whole name wins over a first label. */
export function mirrorOfHost(mirrors: ReadonlyMap<string, Mirror>, host: string): Mirror | undefined {
  const label = host.slice(0, Math.max(0, host.indexOf(".")));
  return (
    findMirror(mirrors, (pattern) => pattern.kind === "exact" && pattern.host === host) ??
    findMirror(mirrors, (pattern) => pattern.kind === "label" && pattern.label === label)
  );
}

function findMirror(mirrors: ReadonlyMap<string, Mirror>, matches: (pattern: HostPattern) => boolean): Mirror | undefined {
  return [...mirrors.values()].find((mirror) => mirror.hosts.some(matches));
}

/**
 * Whether a host is surely ours: configured, loopback, on workers.dev, or one of `ownHosts` (the addresses that the server listens on). What
 * a client merely claims as Host is not: links built from it would lead wherever the client said.
 */
export function isOwnHost(mirrors: ReadonlyMap<string, Mirror>, host: string, ownHosts: readonly string[] = []): boolean {
  return mirrorOfHost(mirrors, host) !== undefined || isLoopback(host) || host.endsWith(".workers.dev") || ownHosts.includes(host);
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || /^127(?:\.\d{1,3}){3}$/.test(host);
}
