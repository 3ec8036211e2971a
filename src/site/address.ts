import type { HostPattern, Mirror } from "../config/config.ts";
import { parseHost } from "../http/host.ts";
import { hasMirrorsByName, isOwnHost, mountsOf } from "../route/mirror-of-host.ts";
import type { Routes } from "../route/route-request.ts";

/** The URL by which a visitor reached this server. */
export interface Visit {
  readonly scheme: "http" | "https";
  /** The Host header, or a URL's authority. The client chooses it: it may be any text. */
  readonly authority: string;
  /** Whether a trusted proxy states the authority: then it is ours. */
  readonly isStated?: boolean;
  /** Whether Cloudflare's front end took the request; default: it did. */
  readonly isAtEdge?: boolean;
  /** The path below which a proxy has this server, as `/mirror`; default: none. */
  readonly prefix?: string;
}

/** The hosts that our links may name. */
export interface OwnNames extends Routes {
  /** Names and addresses of this machine, beside the configured hosts. */
  readonly ownHosts: readonly string[];
}

/**
 * The URL of a mirror for this visitor, without trailing slash. It has the host that the visitor used, as that one resolves for the visitor. If that host is not known
 * to be ours (a forged Host header could make our links lead anywhere), or has other mirrors, it is a URL that the configuration names.
 * Null: it names none.
 */
export function mirrorAddress(mirror: Mirror, visit: Visit, own: OwnNames): string | null {
  const host = parseHost(visit.authority);
  const mounts = host === null ? [] : mountsOf(own, host);
  const here = mounts.find((mount) => mount.mirror.name === mirror.name);
  if (host !== null && here !== undefined) return below(origin(visit, host), here.folder);
  const site = siteByName(visit, own);
  if (site !== null) return `${site}/${mirror.name}`;
  const rest = host !== null && mounts.length > 0 ? host.slice(host.indexOf(".") + 1) : null;
  const named = wholeFirst(mirror.hosts).flatMap((pattern) => {
    if (pattern.kind === "exact") return [below(origin(visit, pattern.host), pattern.folder)];
    return rest === null ? [] : [below(origin(visit, `${pattern.label}.${rest}`), pattern.folder)];
  });
  return named[0] ?? null;
}

/** The URL of this server's own pages for this visitor, without trailing slash; it is found as that of a mirror is. */
export function siteAddress(visit: Visit, own: OwnNames): string | null {
  const host = parseHost(visit.authority);
  if (host !== null && mountsOf(own, host).length > 0) return origin(visit, host);
  const exact = [...own.mirrors.values()].flatMap(({ hosts }) => hosts.flatMap((pattern) => (pattern.kind === "exact" ? [pattern] : [])));
  const [first] = wholeFirst(exact);
  return siteByName(visit, own) ?? (first === undefined ? null : origin(visit, first.host));
}

/** What the operator has to change where no address is known. It does not repeat the host: another person may have put that text into the link. */
export const UNKNOWN_HOST =
  "the host in this URL is no name by which this server knows that it is reached: add it, without port, to SERVER_NAMES in wrangler.toml, or set PUBLIC_URL there, and start the server again";

/** The URL below which all mirrors are, each by its name; null: this visitor's host is not one of these, and the configuration names none. */
function siteByName(visit: Visit, own: OwnNames): string | null {
  const { publicUrl, serverNames, ownHosts } = own;
  const host = parseHost(visit.authority);
  const isNamed = host !== null && serverNames.includes(host) && host !== publicUrl?.host;
  if (isNamed) return origin(visit, host);
  if (publicUrl !== undefined) return publicUrl.url;
  const isOurs = host !== null && (visit.isStated === true || isOwnHost(own, host, ownHosts, visit.isAtEdge));
  if (isOurs && hasMirrorsByName(own, host, mountsOf(own, host))) return origin(visit, host);
  const [first] = serverNames;
  return first === undefined ? null : origin(visit, first);
}

/** Of a host that has more than this mirror a distribution may be the owner: those come last. */
function wholeFirst<T extends HostPattern>(patterns: readonly T[]): readonly T[] {
  return patterns.toSorted((a, b) => Number(a.folder !== "") - Number(b.folder !== ""));
}

function below(url: string, folder: string): string {
  return folder === "" ? url : `${url}/${folder}`;
}

function origin({ scheme, authority, prefix = "" }: Visit, host: string): string {
  const port = parseHost(authority) === null ? undefined : /:(\d{1,5})$/.exec(authority)?.[1];
  const usual = scheme === "https" ? "443" : "80";
  return `${scheme}://${host}${port === undefined || port === usual ? "" : `:${port}`}${prefix}`;
}
