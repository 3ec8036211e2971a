import type { Mirror } from "../config/config.ts";
import { parseHost } from "../http/host.ts";
import { isOwnHost, mirrorOfHost } from "../route/mirror-of-host.ts";

/** The URL by which a visitor reached this server. */
export interface Visit {
  readonly scheme: "http" | "https";
  /** The Host header, or a URL's authority. The client chooses it: it may be any text. */
  readonly authority: string;
  /** Whether Cloudflare's front end took the request; default: it did. */
  readonly isAtEdge?: boolean;
}

/** The hosts that our links may name. */
export interface OwnNames {
  readonly mirrors: ReadonlyMap<string, Mirror>;
  /** Names and addresses of this machine, beside the configured hosts. */
  readonly ownHosts: readonly string[];
}

/**
 * The URL of a mirror for this visitor, without trailing slash. It has the host that the visitor used, as that one resolves for the visitor.
 * Null if that host is not known to be ours (a forged Host header could make our links lead anywhere), or if it is another mirror's and this one has none.
 */
export function mirrorAddress(mirror: Mirror, visit: Visit, own: OwnNames): string | null {
  const host = parseHost(visit.authority);
  if (host === null || !isOwnHost(own.mirrors, host, own.ownHosts, visit.isAtEdge)) return null;
  const mapped = mirrorOfHost(own.mirrors, host);
  if (mapped === undefined) return `${siteAddress(visit, own)}/${mirror.name}`;
  if (mapped.name === mirror.name) return siteAddress(visit, own);
  const [pattern] = mirror.hosts;
  if (pattern === undefined) return null;
  const rest = host.slice(host.indexOf(".") + 1);
  return origin(visit, pattern.kind === "exact" ? pattern.host : `${pattern.label}.${rest}`);
}

/** `scheme://host:port` of the visitor's URL; null if its host is not known to be ours. */
export function siteAddress(visit: Visit, own: OwnNames): string | null {
  const host = parseHost(visit.authority);
  return host !== null && isOwnHost(own.mirrors, host, own.ownHosts, visit.isAtEdge) ? origin(visit, host) : null;
}

function origin({ scheme, authority }: Visit, host: string): string {
  const port = /:(\d{1,5})$/.exec(authority)?.[1];
  const usual = scheme === "https" ? "443" : "80";
  return `${scheme}://${host}${port === undefined || port === usual ? "" : `:${port}`}`;
}
