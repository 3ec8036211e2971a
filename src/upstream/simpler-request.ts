import type { ClassifiedResponse, SentRequest } from "./classify-response.ts";

/** `connection`, `timeout`: no response came. `folder`: a redirect that is not followed. */
type ResultKind = ClassifiedResponse["kind"] | "connection" | "timeout" | "folder";

/**
 * What to ask in place of a request that an upstream refused as it was made, though it serves the path: a GET in place of a HEAD, the whole in place of a
 * part, and no conditions. Null: the answer stands. The simpler request is never made simpler again, so that two requests are the most.
 * @param status of the response; undefined: none came, or its redirect was not followed.
 */
export function simplerRequest<R extends SentRequest>(request: R, kind: ResultKind, status: number | undefined): R | null {
  if (request.method === "HEAD") return isHeadRefused(kind, status) ? { ...request, method: "GET" } : null;
  // 412 and 400: a server that does not know If-None-Match or If-Modified-Since. 5xx: one that breaks over them.
  if (
    request.conditional !== undefined &&
    kind !== "busy" &&
    kind !== "limited" &&
    (status === 400 || status === 412 || (status ?? 0) >= 500)
  ) {
    return { ...request, conditional: undefined };
  }
  if (request.range === undefined) return null;
  // 403, 400, …: some CDNs allow no ranges. 206 and 416 that contradict the request or themselves: no file ends before its first byte.
  const isContradiction = kind === "wrong" && (status === 206 || status === 416);
  const isPartRefused = kind === "forbidden" || kind === "refused" || (kind === "unsatisfiable" && request.range.first === 0);
  return isContradiction || isPartRefused ? { ...request, range: undefined, ifRange: undefined } : null;
}

/** Some servers refuse HEAD (403, 405, 501, 400), say 404 to it, or drop the connection, and serve the same path to GET. */
function isHeadRefused(kind: ResultKind, status: number | undefined): boolean {
  return (
    kind === "absent" || kind === "forbidden" || kind === "refused" || kind === "connection" || (kind === "wrong" && status !== undefined)
  );
}
