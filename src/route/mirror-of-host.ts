import type { HostPattern, Mirror } from "../config/config.ts";

/** The mirror that a host (as `parseHost` gives it) is mapped to. A pattern of the whole name wins over one of the first label (`fedora.*`). */
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
 * Whether a host is certainly ours: configured, loopback, on workers.dev, or one of `ownHosts` (names and addresses of the server). Any other Host
 * is only a client's claim: links that are built from it would lead wherever an attacker wants.
 */
export function isOwnHost(mirrors: ReadonlyMap<string, Mirror>, host: string, ownHosts: readonly string[] = []): boolean {
  return mirrorOfHost(mirrors, host) !== undefined || isLoopback(host) || host.endsWith(".workers.dev") || ownHosts.includes(host);
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || /^127(?:\.\d{1,3}){3}$/.test(host);
}
