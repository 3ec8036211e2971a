import { formatCacheStatus, type ForwardReason } from "../../http/cache-status.ts";
import { formatUnsatisfiedRange } from "../../http/content-range.ts";
import { printableLines } from "../../http/printable.ts";
import type { Target } from "../../route/target.ts";
import type { Absent, UpstreamFailure } from "../../upstream/upstream.ts";
import { CONTAINED } from "./contain.ts";

/**
 * A refusal, or another answer without a file, as text. It always has a body: apt does not retry a 502 without one. A reason may hold what an upstream
 * sent: no terminal gets that raw.
 */
export function refuse(status: number, detail: string, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(`${printableLines(detail)}\n`, {
    status,
    headers: {
      "Content-Type": "text/plain; charset=utf-8",
      "Cache-Control": "no-store, no-transform",
      ...CONTAINED,
      ...headers,
    },
  });
}

export function refuseFailure({ status, detail, retryAfterSeconds }: UpstreamFailure): Response {
  return refuse(status, detail, {
    "Cache-Status": formatCacheStatus({ kind: "forwarded", reason: "miss", detail }),
    ...(status === 503 ? { "Retry-After": String(retryAfterSeconds ?? 5) } : {}),
  });
}

/** Names the path as the upstream was asked for it: without the mirror's name. A 403 goes out as it is: a client that asks directly gets the same. `words`: what each upstream said. */
export function refuseAbsent(
  { status, words }: Pick<Absent, "status" | "words">,
  { path, query }: Pick<Target, "path" | "query">,
  reason: ForwardReason = "miss",
): Response {
  const what = status === 403 ? "does not give out" : "has no";
  return refuse(status, `The upstream ${what} /${path}${query}${words === undefined ? "" : `: ${words}`}`, {
    "Cache-Status": formatCacheStatus({ kind: "forwarded", reason, status }),
  });
}

/**
 * The path names a folder: the client is to ask with a slash at its end, or the relative links of the listing would mean other files. Relative to the
 * request (RFC 9110 §10.2.2), so that it is right below whatever host and prefix the client uses; `./`, since a name may hold a colon.
 */
export function redirectToFolder({ path, query }: Pick<Target, "path" | "query">, reason: ForwardReason = "miss"): Response {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return refuse(301, `The upstream has a folder at /${path}/${query}`, {
    Location: `./${encodeURIComponent(name)}/${query}`,
    "Cache-Status": formatCacheStatus({ kind: "forwarded", reason, status: 301 }),
  });
}

/** The upstream has no byte of the range (RFC 9110 §15.5.17); `size` of the whole where it said so. */
export function refuseUnsatisfiable(size: number | undefined): Response {
  return refuse(
    416,
    "The range begins after the end of the file",
    size === undefined ? {} : { "Content-Range": formatUnsatisfiedRange(size) },
  );
}
