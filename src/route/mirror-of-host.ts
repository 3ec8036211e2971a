import type { Config, HostPattern, Mirror } from "../config/config.ts";

/** A part of a host's URL space that is a mirror. */
export interface Mount {
  readonly mirror: Mirror;
  /** The path without slashes at its ends; empty: all of the host. */
  readonly folder: string;
}

/** The configured hosts. */
export type ConfiguredHosts = Pick<Config, "mirrors" | "serverNames">;

/**
 * What is mirrored at a host (as `parseHost` gives it), the longest folder first. Patterns of the whole name win over those of the first label (`fedora.*`), and so
 * does one of the server's own names.
 */
export function mountsOf({ mirrors, serverNames }: ConfiguredHosts, host: string): readonly Mount[] {
  const find = (matches: (pattern: HostPattern) => boolean): Mount[] =>
    [...mirrors.values()]
      .flatMap((mirror) => mirror.hosts.filter(matches).map(({ folder }) => ({ mirror, folder })))
      .toSorted((a, b) => b.folder.length - a.folder.length);
  const exact = find((pattern) => pattern.kind === "exact" && pattern.host === host);
  if (exact.length > 0 || serverNames.includes(host)) return exact;
  const label = host.slice(0, Math.max(0, host.indexOf(".")));
  return find((pattern) => pattern.kind === "label" && pattern.label === label);
}

/** Whether mirrors are reached at this host by their names as first folder: those that are mounted at the host come before. */
export function hasMirrorsByName({ serverNames }: ConfiguredHosts, host: string, mounts: readonly Mount[]): boolean {
  return mounts.length === 0 || serverNames.includes(host);
}

const LOOPBACK = /^(?:localhost|\[::1\]|127(?:\.\d{1,3}){3})$/;

/**
 * Whether a host is certainly ours: configured, loopback, one of `ownHosts` (names and addresses of the server), or on workers.dev where `isAtEdge`:
 * Cloudflare's front end took the request, and it hands over those alone that are for this Worker's own name there. Any other Host is only a client's
 * claim: links that are built from it would lead wherever an attacker wants.
 */
export function isOwnHost(configured: ConfiguredHosts, host: string, ownHosts: readonly string[] = [], isAtEdge: boolean = true): boolean {
  if (configured.serverNames.includes(host) || mountsOf(configured, host).length > 0) return true;
  if (LOOPBACK.test(host) || ownHosts.includes(host)) return true;
  return isAtEdge && host.endsWith(".workers.dev");
}
