import { type CacheStatus, formatCacheStatus } from "../../http/cache-status.ts";
import type { Target } from "../../route/target.ts";
import type { Representation, UpstreamAnswer } from "../../upstream/upstream.ts";
import { parseContentCodings } from "../../verify/content-coding.ts";
import { contentTypeOf } from "../../verify/html.ts";
import { redirectToFolder, refuse, refuseAbsent, refuseFailure } from "../answer/failure.ts";
import type { Client } from "../shared/client.ts";
import type { ServeDependencies } from "../shared/dependencies.ts";

/** HEAD of what is not stored: the upstream's own answer, without a body fetched. */
export async function passHead(client: Client, target: Target, deps: ServeDependencies): Promise<Response> {
  const upstream = await askHead(target, deps);
  client.onBody(0, null);
  if (upstream.kind === "absent") return refuseAbsent(upstream, target);
  if (upstream.kind === "folder") return redirectToFolder(target);
  if (upstream.kind === "failure") return refuseFailure(upstream);
  if (upstream.kind !== "head") return refuse(502, `The upstream answered HEAD with ${upstream.kind}`);
  return new Response(null, { headers: passedHeaders(target, upstream.representation) });
}

/** Length in bytes of what an upstream has, undefined where it does not say. */
export async function sizeUpstream(target: Target, deps: ServeDependencies): Promise<number | undefined> {
  const upstream = await askHead(target, deps);
  if (upstream.kind !== "head" || parseContentCodings(upstream.representation.contentEncoding).length > 0) return undefined;
  return upstream.representation.size;
}

function askHead({ mirror, path, query, class: pathClass }: Target, { upstreams }: ServeDependencies): Promise<UpstreamAnswer> {
  return upstreams.open({ mirror, path, query, class: pathClass, method: "HEAD" });
}

/**
 * Headers of what is passed on unstored: without an entity tag, as there is no version here that a client could come back to. No label of a coding goes on:
 * the body is sent as identity, and the length that was stated is that of the encoded form.
 */
export function passedHeaders(
  { path }: Pick<Target, "path">,
  { size, contentType, contentEncoding, lastModified }: Representation,
  status: Partial<Extract<CacheStatus, { kind: "forwarded" }>> = {},
): Headers {
  const isCoded = parseContentCodings(contentEncoding).length > 0;
  const headers = new Headers({
    "Cache-Control": "no-transform",
    "Cache-Status": formatCacheStatus({ kind: "forwarded", reason: "miss", status: 200, ...status }),
    "Content-Type": contentTypeOf(path, contentType, false) ?? "application/octet-stream",
  });
  if (size !== undefined && !isCoded) {
    headers.set("Content-Length", String(size));
    headers.set("Accept-Ranges", "bytes");
  }
  if (lastModified !== undefined) headers.set("Last-Modified", lastModified);
  return headers;
}
