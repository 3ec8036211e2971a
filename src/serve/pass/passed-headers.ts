import { formatCacheStatus } from "../../http/cache-status.ts";
import type { Representation } from "../../upstream/upstream.ts";

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
