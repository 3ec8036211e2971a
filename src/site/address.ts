import type { Mirror } from "../config/config.ts";
import { parseHost } from "../http/host.ts";
import { isOwnHost, mirrorOfHost } from "../route/mirror-of-host.ts";

/** How a visitor reached us. */
export interface Visit {
  readonly scheme: "http" | "https";
  /** The Host header, or a URL's authority: whatever the client claims. */
  readonly authority: string;
}

/** What is ours to be named in a link. */
export interface OwnNames {
  readonly mirrors: ReadonlyMap<string, Mirror>;
  /** Addresses that the server listens on, beside the configured hosts. */
  readonly ownHosts: readonly string[];
}

/**
 * Where `visit`'s client reaches a mirror, without trailing slash: built from the host that the visitor used, so that it is one that resolves for him.
 * Null when that host is not surely ours (a link would lead wherever the visitor said), or leads to another mirror and this one has no host.
 */
export function mirrorAddress(mirror: Mirror, visit: Visit, own: OwnNames): string | null {
  const host = parseHost(visit.authority);
  if (host === null || !isOwnHost(own.mirrors, host, own.ownHosts)) return null;
  const mapped = mirrorOfHost(own.mirrors, host);
  if (mapped === undefined) return `${siteAddress(visit, own)}/${mirror.name}`;
  if (mapped.name === mirror.name) return siteAddress(visit, own);
  const [pattern] = mirror.hosts;
  if (pattern === undefined) return null;
  const rest = host.slice(host.indexOf(".") + 1);
  return origin(visit, pattern.kind === "exact" ? pattern.host : `${pattern.label}.${rest}`);
}

/** `scheme://host:port` of the visitor's own URL, or null when that host is not surely ours. */
export function siteAddress(visit: Visit, own: OwnNames): string | null {
  const host = parseHost(visit.authority);
  return host !== null && isOwnHost(own.mirrors, host, own.ownHosts) ? origin(visit, host) : null;
}

function origin({ scheme, authority }: Visit, host: string): string {
  const port = /:(\d{1,5})$/.exec(authority)?.[1];
  const usual = scheme === "https" ? "443" : "80";
  return `${scheme}://${host}${port === undefined || port === usual ? "" : `:${port}`}`;
}
