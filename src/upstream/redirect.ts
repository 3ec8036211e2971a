import type { Mirror } from "../config/config.ts";
import { encodePath } from "../route/canonical-path.ts";

/** The URL to ask next, or why the redirect is not followed; `detail` continues a sentence that begins with the upstream. */
export type Redirected = { readonly kind: "to"; readonly url: URL } | { readonly kind: "refused"; readonly detail: string };

/**
 * Decides whether to follow a redirect. Allowed are http and https URLs at a host and port of the mirror's upstreams or of its `redirectHosts`;
 * never from https to http, and never to a private address unless the configured upstream has one itself.
 * @param location value of the Location header, which may be relative (RFC 9110 §10.2.2); null: the header is absent.
 * @param from the URL that answered.
 * @param upstream configured URL of the upstream that the first request went to.
 */
export function resolveRedirect(location: string | null, from: URL, mirror: Mirror, upstream: string): Redirected {
  if (location === null) return refusedRedirect("without a Location");
  if (!URL.canParse(location, from)) return refusedRedirect("to something that is no URL");
  const url = new URL(location, from);
  if (url.protocol !== "http:" && url.protocol !== "https:") return refusedRedirect(`to the scheme ${url.protocol}`);
  // `fetch` would send credentials in the URL as Authorization.
  if (url.username !== "" || url.password !== "") return refusedRedirect(`to ${url.host} with credentials`);
  if (from.protocol === "https:" && url.protocol === "http:") return refusedRedirect(`from https to http at ${url.host}`);
  if (!isAllowedHost(url, mirror)) return refusedRedirect(`to ${url.host}, which is none of the mirror's upstreams or redirectHosts`);
  if (isPrivateHost(url.hostname) && !isPrivateHost(new URL(upstream).hostname)) {
    return refusedRedirect(`to the private address ${url.host}`);
  }
  url.hash = "";
  return { kind: "to", url };
}

/**
 * Whether a redirect only adds a slash to the path: of the URL that answered, or of a configured upstream's. The client must follow it itself, since the
 * relative links of a listing mean other files without the slash. Nothing is fetched from the Location, so that its host and scheme do not matter.
 * @param path asked for, as in `UpstreamRequest`.
 */
export function addsSlash(
  location: string | null,
  from: URL,
  { mirror, path }: { readonly mirror: Mirror; readonly path: string },
): boolean {
  if (path === "" || path.endsWith("/") || location === null || !URL.canParse(location, from)) return false;
  const to = new URL(location, from);
  if (!/^(?:https?|file):$/.test(to.protocol) || (to.search !== "" && to.search !== from.search)) return false;
  const wanted = decoded(to.pathname);
  const places = [from.href, ...mirror.upstreams.map(({ url }) => `${url}/${encodePath(path)}`)];
  return places.some((place) => wanted === `${decoded(new URL(place).pathname)}/`);
}

/** Servers spell a path in their own way in Location. */
function decoded(pathname: string): string {
  try {
    return decodeURIComponent(pathname);
  } catch {
    return pathname;
  }
}

function refusedRedirect(what: string): Redirected {
  return { kind: "refused", detail: `redirects ${what}` };
}

function isAllowedHost(url: URL, mirror: Mirror): boolean {
  const isUpstream = mirror.upstreams.some((upstream) => {
    const own = new URL(upstream.url);
    if (own.hostname !== url.hostname) return false;
    return effectivePort(own) === effectivePort(url) || (isDefaultPort(own) && isDefaultPort(url));
  });
  return isUpstream || mirror.redirectHosts.some((pattern) => matchesHost(pattern, url));
}

/** `pattern` is `host`, `host:port`, `*.suffix` or `[v6]:port`; without a port it stands for the scheme's default port. */
function matchesHost(pattern: string, url: URL): boolean {
  const [, host = "", port] = /^(.*?)(?::(\d+))?$/.exec(pattern.toLowerCase()) ?? [];
  if (port === undefined ? !isDefaultPort(url) : effectivePort(url) !== port) return false;
  return host.startsWith("*.") ? url.hostname.endsWith(host.slice(1)) && !isAddress(url.hostname) : url.hostname === host;
}

/** `URL` leaves `port` empty where it is the scheme's default. */
const isDefaultPort = (url: URL): boolean => url.port === "";
const effectivePort = (url: URL): string => url.port || (url.protocol === "https:" ? "443" : "80");

const IPV4 = /^(\d+)\.(\d+)\.\d+\.\d+$/;

function isAddress(hostname: string): boolean {
  return hostname.startsWith("[") || IPV4.test(hostname);
}

/**
 * Whether a hostname is `localhost` or a literal address outside the public internet (RFC 6890).
 * @param hostname as `URL.hostname` gives it: with IPv6 in brackets, and one spelling for an IPv4 address written as `0x7f.1` or `2130706433`.
 * @internal
 */
export function isPrivateHost(hostname: string): boolean {
  const name = hostname.replace(/\.$/, "");
  if (name === "localhost" || name.endsWith(".localhost")) return true;
  if (name.startsWith("[")) return !isGlobalIpv6(name);
  const [, first, second] = (IPV4.exec(name) ?? []).map(Number);
  if (first === undefined || second === undefined) return false;
  return (
    [0, 10, 127].includes(first) ||
    first >= 224 ||
    (first === 100 && second >= 64 && second < 128) ||
    (first === 169 && second === 254) ||
    (first === 172 && second >= 16 && second < 32) ||
    (first === 192 && (second === 168 || second === 0)) ||
    (first === 198 && (second === 18 || second === 19))
  );
}

/** Global are 2000::/3 without 6to4 (2002::/16, which wraps any IPv4 address), 2001::/23 (Teredo and others) and 2001:db8::/32 (documentation). */
function isGlobalIpv6(bracketed: string): boolean {
  const [first = 0, second = 0] = bracketed
    .slice(1, -1)
    .split(":")
    .map((group) => Number.parseInt(group || "0", 16));
  if (first < 0x2000 || first > 0x3fff || first === 0x2002) return false;
  return first !== 0x2001 || (second >= 0x200 && second !== 0xdb8);
}
