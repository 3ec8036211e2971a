import type { Reading } from "../../fill/reading.ts";
import type { Growing } from "../../fill/shared/fill.ts";
import type { Target } from "../../route/target.ts";
import { streamBody } from "../answer/body.ts";
import type { Client } from "../shared/client.ts";
import { passedHeaders } from "./head.ts";

/**
 * A body whose upstream states no length, as it comes to all who ask: in chunks, whose last one is the proof that it is whole. A Range is not answered, since
 * a part would need the length of the whole (RFC 9110 §14.4); once it is stored it has one.
 */
export function passGrowing(
  client: Client,
  target: Target,
  reading: Reading,
  { contentType, lastModified, upstream }: Growing["object"],
  reason: "miss" | "stale",
): Response {
  const sent = { size: undefined, etag: undefined, lastModified, contentType, contentEncoding: undefined, upstream };
  const headers = passedHeaders(target, sent, { reason, collapsed: reading.collapsed });
  if (client.method === "HEAD") {
    reading.close();
    client.onBody(0, null);
    return new Response(null, { headers });
  }
  const body = streamBody(client, null, true, (sink) => reading.deliverGrowing(sink).finally(() => reading.close()));
  return new Response(body, { headers });
}
