import type { Config, Mirror } from "../config/config.ts";
import { distributionOf } from "../config/distributions.ts";
import { parseHost } from "../http/host.ts";
import { canonicalPath, encodePath } from "./canonical-path.ts";
import { hasMirrorsByName, isOwnHost, type Mount, mountsOf } from "./mirror-of-host.ts";
import { placeOf } from "./place.ts";
import type { Routed } from "./target.ts";

/** A request target (RFC 9112 §3.2) and what belongs to it. */
export interface RequestTarget {
  /** Raw, never normalised: `/x?y` (origin form) or `http://host/x?y` (absolute form). */
  readonly url: string;
  /** The Host header. With the absolute form it says nothing, but has to be a host all the same (RFC 9112 §3.2). */
  readonly host?: string | undefined;
  /** Whether the request is refused without a Host header, as RFC 9112 §3.2 wants it of HTTP/1.1. */
  readonly isHostRequired?: boolean;
  /** Whether the client itself sent the absolute form, as it does to a proxy. */
  readonly absoluteForm?: boolean;
  /** Hosts that the server knows to be its own, beside the configured ones. */
  readonly ownHosts?: readonly string[];
  /** The path below which a proxy has this server, as `/mirror`. */
  readonly prefix?: string;
  /** The hosts of the operator's pages, and of nothing else; absent: these pages are on every host. */
  readonly operatorHosts?: readonly string[] | undefined;
  /** Whether Cloudflare's front end took the request, so that a host on workers.dev is ours; default: it did. */
  readonly isAtEdge?: boolean;
}

/** No package manager sends a longer target. */
const MAX_RAW_CHARACTERS = 2048;
/** R2 takes keys of 1,024 bytes: this leaves room for what the store puts before a key. */
const MAX_KEY_BYTES = 900;

/** Cuts a target into host, path and query. A fragment (RFC 9110 §4.2.5: clients do not send it) is dropped. */
const REQUEST_TARGET = /^(?:https?:\/\/([^/?#]+)(?=[/?#]|$)|(?=\/))([^?#]*)(?:\?([^#]*))?/i;

/** The hosts that the operator wrote, and the mirrors there. */
export type Routes = Pick<Config, "mirrors" | "serverNames" | "publicUrl">;

/** Routes a request: which mirror, and which file of it, from the raw target to the stored key. Never throws. */
export function routeRequest(routes: Routes, request: RequestTarget): Routed {
  if (request.url.length > MAX_RAW_CHARACTERS) return refused(414, `the URL is longer than ${MAX_RAW_CHARACTERS} characters`);
  const parts = REQUEST_TARGET.exec(request.url);
  if (parts === null) return refused(400, "use /path or http://host/path");
  const [, authority, givenPath = "", rawQuery = ""] = parts;

  const named = request.host ?? "";
  if (named === "" && request.isHostRequired === true) return refused(400, "the request has no Host header");
  // A proxy before this server may have chosen its way by the Host header alone: what is none is refused, also where the target has a host of its own.
  if (named !== "" && parseHost(named) === null) return refused(400, "the host is not a host name");
  const hostText = authority ?? named;
  const host = hostText === "" ? "" : parseHost(hostText);
  if (host === null) return refused(400, "the host is not a host name");
  const { ownHosts = [], operatorHosts } = request;
  const isOperatorHost = operatorHosts?.includes(host) === true;
  if (request.absoluteForm === true && !isOperatorHost && !isOwnHost(routes, host, ownHosts, request.isAtEdge)) {
    return refused(421, notProxied(host));
  }
  const mounts = mountsOf(routes, host);
  const isByName = hasMirrorsByName(routes, host, mounts);
  const rawPath =
    pathBelow(givenPath, request.prefix, routes, true) ?? pathBelow(givenPath, routes.publicUrl?.path, routes, isByName) ?? givenPath;

  if (operatorHosts !== undefined) {
    const misdirected = judgeHost(isOperatorHost, rawPath);
    if (misdirected !== null) return misdirected;
  }

  // A whole host that is one mirror has that mirror's top; any other host has our own first page there.
  const isTop = /^\/*$/.test(rawPath) && !mounts.some(({ folder }) => folder === "");
  if (isTop || /^\/-(\/|$)/.test(rawPath)) {
    return { kind: "site", path: `${isTop ? "/" : rawPath}${rawQuery && `?${rawQuery}`}`, authority: hostText };
  }

  const canonical = canonicalPath(rawPath);
  if (!canonical.ok) return { kind: "refused", status: 400, detail: canonical.detail };
  const found = mirrorAt(canonical.path, mounts) ?? (isByName ? mirrorByName(canonical.path, routes.mirrors) : null);
  if (found === null) {
    return { kind: "refused", status: 404, detail: isByName ? unknownMirror(routes.mirrors) : unknownFolder(mounts) };
  }
  const { mirror } = found;
  const { backToTop } = distributionOf(mirror.distro);
  const path = backToTop === undefined ? found.path : found.path.replace(backToTop, "");
  const query = canonicalQuery(rawQuery, mirror.allowedQuery);
  const key = `${mirror.name}/${path}${query}`;
  if (new TextEncoder().encode(key).length > MAX_KEY_BYTES) return refused(414, `the path is longer than ${MAX_KEY_BYTES} bytes`);
  const target = { mirror, path, query, key, ...placeOf(mirror, path) };
  return found.bareTop === undefined ? { kind: "mirror", target } : { kind: "mirror", target, bareTop: encodePath(found.bareTop) };
}

/** A mirror, and a canonical path below it. `bareTop`: the path had no slash behind this last name of the mirror's own path. */
interface Found {
  readonly mirror: Mirror;
  readonly path: string;
  readonly bareTop?: string;
}

function mirrorAt(path: string, mounts: readonly Mount[]): Found | null {
  for (const { mirror, folder } of mounts) {
    if (folder === "") return { mirror, path };
    if (path === folder) return { mirror, path: "", bareTop: folder.slice(folder.lastIndexOf("/") + 1) };
    if (path.startsWith(`${folder}/`)) return { mirror, path: path.slice(folder.length + 1) };
  }
  return null;
}

function mirrorByName(path: string, mirrors: ReadonlyMap<string, Mirror>): Found | null {
  const [first = "", ...rest] = path.split("/");
  const mirror = mirrors.get(first);
  if (mirror === undefined) return null;
  return rest.length === 0 ? { mirror, path: "", bareTop: first } : { mirror, path: rest.join("/") };
}

/**
 * The part of a raw path below `prefix`; null: the path is not below it. Some proxies take the prefix away before they pass a request on, and some do not. A
 * prefix that is also a mirror's name is that mirror. `hasFiles`: whether files are below it too, and not our pages alone.
 */
function pathBelow(rawPath: string, prefix: string = "", { mirrors }: Routes, hasFiles: boolean): string | null {
  if (prefix === "" || mirrors.has(prefix.split("/")[1] ?? "")) return null;
  if (rawPath !== prefix && !rawPath.startsWith(`${prefix}/`)) return null;
  const rest = rawPath.slice(prefix.length);
  return hasFiles || /^\/-(\/|$)/.test(rest) ? rest : null;
}

/** Pages below `/-/` that clients need; the others there are the operator's. `health`, `style.css` and `page.js` are on every host. Tested on canonical paths. */
const CLIENT_PAGE = /^-\/?$|^-\/(?:setup|metalink|mirrorlist)(?:\/|$)/;
const COMMON_PAGE = /^-\/(?:health|style\.css|page\.js)$/;

/** The refusal of an operator's page on another host, and of anything else on the operator's host; null: the request is on its right host. */
function judgeHost(isOperatorHost: boolean, rawPath: string): Routed | null {
  const canonical = canonicalPath(rawPath);
  const path = canonical.ok ? canonical.path : "";
  if (COMMON_PAGE.test(path)) return null;
  const isOperatorPage = path.startsWith("-/") && !CLIENT_PAGE.test(path);
  if (isOperatorPage === isOperatorHost) return null;
  return refused(
    421,
    isOperatorHost
      ? "this host, one of OPERATOR_HOSTS in wrangler.toml, has the operator's pages alone, such as /-/status; use one of the mirrors' hosts"
      : "the operator's pages are on another host: use one of OPERATOR_HOSTS in wrangler.toml",
  );
}

function refused(status: 400 | 414 | 421, why: string): Routed {
  return { kind: "refused", status, detail: `Cannot use the request target: ${why}` };
}

/**
 * The parameters of a raw query (without `?`) whose names a mirror allows, sorted and in one spelling, with `?`; or empty. The others are dropped
 * from key and upstream request: `?x=1`, `?x=2`, … would fill the store, and each value of dnf's `countme` would be a file of its own.
 */
function canonicalQuery(raw: string, allowed: readonly string[]): string {
  if (raw === "" || allowed.length === 0) return "";
  const kept = new URLSearchParams([...new URLSearchParams(raw)].filter(([name]) => allowed.includes(name)));
  kept.sort();
  return kept.size === 0 ? "" : `?${kept.toString()}`;
}

/** The refusal of a request as to a proxy. The host is one by `parseHost`, so that it stands in a text as it is. */
function notProxied(host: string): string {
  return [
    `this server is a mirror, and ${host} is none of its hosts. To have it serve this host, add "${host}" to SERVER_NAMES in wrangler.toml if its first folders`,
    `are the mirrors' names, or "${host}/<folder>" to hosts of the mirror that has what is in that folder. To reach the host itself, take it out of the client's`,
    `proxy setting (apt: Acquire::http::Proxy::${host} "DIRECT"; others: no_proxy=${host})`,
  ].join(" ");
}

function unknownFolder(mounts: readonly Mount[]): string {
  const folders = mounts.map(({ folder }) => `/${folder}/`).toSorted();
  return `No mirror has this path. The mirrors on this host begin at ${folders.join(", ")}. Add another folder to hosts of a mirror in wrangler.toml.`;
}

/** Does not repeat the name in the URL: the answer would show a text that another person put into the link. */
function unknownMirror(mirrors: ReadonlyMap<string, Mirror>): string {
  return `No mirror has this name or host. The mirrors here: ${[...mirrors.keys()].toSorted().join(", ")}. Add one as [vars.MIRRORS.<name>] in wrangler.toml.`;
}
