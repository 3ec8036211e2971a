import type { Mirror } from "../config/config.ts";
import { distributionOf } from "../config/distributions.ts";
import { parseHost } from "../http/host.ts";
import { canonicalPath } from "./canonical-path.ts";
import { isOwnHost, mirrorOfHost } from "./mirror-of-host.ts";
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

/** Routes a request: which mirror, and which file of it, from the raw target to the stored key. Never throws. */
export function routeRequest(mirrors: ReadonlyMap<string, Mirror>, request: RequestTarget): Routed {
  if (request.url.length > MAX_RAW_CHARACTERS) return refused(414, `the URL is longer than ${MAX_RAW_CHARACTERS} characters`);
  const parts = REQUEST_TARGET.exec(request.url);
  if (parts === null) return refused(400, "use /path or http://host/path");
  const [, authority, rawPath = "", rawQuery = ""] = parts;

  const named = request.host ?? "";
  if (named === "" && request.isHostRequired === true) return refused(400, "the request has no Host header");
  // A proxy before this server may have chosen its way by the Host header alone: what is none is refused, also where the target has a host of its own.
  if (named !== "" && parseHost(named) === null) return refused(400, "the host is not a host name");
  const hostText = authority ?? named;
  const host = hostText === "" ? "" : parseHost(hostText);
  if (host === null) return refused(400, "the host is not a host name");
  const { ownHosts = [], operatorHosts } = request;
  const isOperatorHost = operatorHosts?.includes(host) === true;
  if (request.absoluteForm === true && !isOperatorHost && !isOwnHost(mirrors, host, ownHosts, request.isAtEdge)) {
    return refused(421, "this is a mirror and no proxy: it answers only for its own hosts");
  }

  if (operatorHosts !== undefined) {
    const misdirected = judgeHost(isOperatorHost, rawPath);
    if (misdirected !== null) return misdirected;
  }

  const mapped = mirrorOfHost(mirrors, host);
  const isTop = mapped === undefined && /^\/*$/.test(rawPath);
  if (isTop || /^\/-(\/|$)/.test(rawPath)) {
    return { kind: "site", path: `${isTop ? "/" : rawPath}${rawQuery && `?${rawQuery}`}`, authority: hostText };
  }

  const canonical = canonicalPath(rawPath);
  if (!canonical.ok) return { kind: "refused", status: 400, detail: canonical.detail };
  const [first = "", ...rest] = canonical.path.split("/");
  const mirror = mapped ?? mirrors.get(first);
  if (mirror === undefined) return { kind: "refused", status: 404, detail: unknownMirror(mirrors) };

  const below = mapped === undefined ? rest.join("/") : canonical.path;
  const { backToTop } = distributionOf(mirror.distro);
  const path = backToTop === undefined ? below : below.replace(backToTop, "");
  const query = canonicalQuery(rawQuery, mirror.allowedQuery);
  const key = `${mirror.name}/${path}${query}`;
  if (new TextEncoder().encode(key).length > MAX_KEY_BYTES) return refused(414, `the path is longer than ${MAX_KEY_BYTES} bytes`);
  const target = { mirror, path, query, key, ...placeOf(mirror, path) };
  return mapped === undefined && rest.length === 0 ? { kind: "mirror", target, isBareTop: true } : { kind: "mirror", target };
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
    isOperatorHost ? "this host has the operator's pages alone, such as /-/status" : "the operator's pages are on another host",
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

/** Does not repeat the name in the URL: the answer would show a text that another person put into the link. */
function unknownMirror(mirrors: ReadonlyMap<string, Mirror>): string {
  return `No mirror has this name or host. The mirrors here: ${[...mirrors.keys()].toSorted().join(", ")}. Add one as [vars.MIRRORS.<name>] in wrangler.toml.`;
}
