import { formatCacheStatus } from "../http/cache-status.ts";
import type { UpstreamFailure } from "../upstream/upstream.ts";

/** A refusal as text. It always has a body: apt does not retry a 502 without one. */
export function refuse(status: number, detail: string, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(`${detail}\n`, {
    status,
    headers: {
      "Content-Type": "text/plain; charset=utf-8",
      "Cache-Control": "no-store, no-transform",
      "X-Content-Type-Options": "nosniff",
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

export function refuseAbsent(status: 404 | 410, key: string): Response {
  return refuse(status, `The upstream has no ${key}`, { "Cache-Status": formatCacheStatus({ kind: "forwarded", reason: "miss", status }) });
}
