import { formatCacheStatus } from "../../http/cache-status.ts";
import type { Target } from "../../route/target.ts";
import type { Representation, UpstreamAnswer } from "../../upstream/upstream.ts";
import { redirectToFolder, refuse, refuseAbsent, refuseFailure } from "../answer/failure.ts";
import type { Client } from "../shared/client.ts";
import type { ServeDependencies } from "../shared/dependencies.ts";

/** HEAD of what is not stored: the upstream's own answer, without a body fetched. */
export async function passHead(client: Client, target: Target, deps: ServeDependencies): Promise<Response> {
  const upstream = await askHead(target, deps);
  client.onBody(0, null);
  if (upstream.kind === "absent") return refuseAbsent(upstream.status, target);
  if (upstream.kind === "folder") return redirectToFolder(target);
  if (upstream.kind === "failure") return refuseFailure(upstream);
  if (upstream.kind !== "head") return refuse(502, `The upstream answered HEAD with ${upstream.kind}`);
  return new Response(null, { headers: passedHeaders(upstream.representation) });
}

/** Length in bytes of what an upstream has, undefined where it does not say. */
export async function sizeUpstream(target: Target, deps: ServeDependencies): Promise<number | undefined> {
  const upstream = await askHead(target, deps);
  return upstream.kind === "head" ? upstream.representation.size : undefined;
}

function askHead({ mirror, path, query, class: pathClass }: Target, { upstreams }: ServeDependencies): Promise<UpstreamAnswer> {
  return upstreams.open({ mirror, path, query, class: pathClass, method: "HEAD" });
}

/** Headers of what is passed on unstored: without an entity tag, as there is no version here that a client could come back to. */
export function passedHeaders({ size, contentType, contentEncoding, lastModified }: Representation): Headers {
  const headers = new Headers({
    "Cache-Control": "no-transform",
    "Cache-Status": formatCacheStatus({ kind: "forwarded", reason: "miss", status: 200 }),
    "Content-Type": contentType ?? "application/octet-stream",
  });
  if (size !== undefined) headers.set("Content-Length", String(size));
  if (contentEncoding !== undefined) headers.set("Content-Encoding", contentEncoding);
  else headers.set("Accept-Ranges", "bytes");
  if (lastModified !== undefined) headers.set("Last-Modified", lastModified);
  return headers;
}
