import { parseRange } from "../../http/byte-ranges.ts";
import { formatContentRange } from "../../http/content-range.ts";
import type { Target } from "../../route/target.ts";
import type { UpstreamAnswer } from "../../upstream/upstream.ts";
import { parseContentCodings } from "../../verify/content-coding.ts";
import type { Client } from "../shared/client.ts";
import type { ServeDependencies } from "../shared/dependencies.ts";

/** R2 takes 4.995 GiB in one write. */
const MAX_STORED_BYTES = 4.9 * 1024 ** 3;

/**
 * The part to ask the upstream for itself. With If-Range it is the whole: there is no version here that could be compared. From the beginning on too:
 * the answer would not show whether the upstream took the range.
 */
export function rangeToPass({ headers, method }: Client): { first: number; last?: number } | undefined {
  const [range, second] = (method === "GET" && !headers.has("if-range") ? parseRange(headers.get("range")) : null) ?? [];
  return range === undefined || second !== undefined || "suffix" in range || range.first === 0 ? undefined : range;
}

/**
 * An answer's body handed over to the runtime, which moves it without the Worker's CPU: what the free plan's 10 ms cannot pump is served so. Its
 * length alone proves it; it is not gone on with at another upstream. Null where the body has no length, is encoded, or was begun.
 */
export async function passNatively(
  client: Client,
  target: Target,
  { representation, first, source }: Extract<UpstreamAnswer, { kind: "body" }>,
  { native, onUse }: ServeDependencies,
): Promise<{ readonly body: ReadableStream<Uint8Array>; readonly status: number; readonly headers: Record<string, string> } | null> {
  const { size } = representation;
  if (native === null || size === undefined || parseContentCodings(representation.contentEncoding).length > 0) return null;
  // An upstream that ignores Range sends the whole: so do we.
  const isPart = first > 0;
  // Nothing looks at the bytes: a file that is named by its digest is not stored without its proof.
  const isStorable = !isPart && target.class !== "pass" && target.class !== "hashed" && size <= MAX_STORED_BYTES;
  const isStored = isStorable && (await native.admit(target.key, size));
  const body = source.handOver?.() ?? null;
  if (body === null) return null;
  if (isPart) {
    const length = Math.min(rangeToPass(client)?.last ?? size - 1, size - 1) - first + 1;
    client.onBody(length, null);
    return {
      body,
      status: 206,
      headers: { "Content-Range": formatContentRange({ offset: first, length }, size), "Content-Length": String(length) },
    };
  }
  client.onBody(size, null);
  if (!isStored) return { body, status: 200, headers: {} };
  // Where the client leaves, the store's branch goes on alone for as long as the runtime lets it; a body cut short stores nothing.
  const [ours, theirs] = body.tee();
  client.waitUntil(native.put(target, { ...representation, size }, theirs));
  onUse(target.key, size);
  return { body: ours, status: 200, headers: {} };
}
