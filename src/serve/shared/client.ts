import { parseRange } from "../../http/byte-ranges.ts";
import { hasNoCache } from "../../http/cache-control.ts";
import type { ObjectRange } from "../../store/object-store.ts";

/** One request as serve/ sees it. */
export interface Client {
  /** GET or HEAD. */
  readonly method: string;
  readonly headers: Headers;
  /** Keeps work alive after the response. */
  readonly waitUntil: (work: Promise<unknown>) => void;
  /** Called when the body has gone out, or was cut off by either side: `bytes` of it were sent, and why no more. */
  readonly onBody: (bytes: number, cut: string | null) => void;
}

/** The one range that the request asks for, in the store's terms; undefined for all else. */
export function wantedOf({ method, headers }: Client): ObjectRange | undefined {
  const ranges = method === "GET" ? parseRange(headers.get("range")) : null;
  const [range, second] = ranges ?? [];
  if (range === undefined || second !== undefined) return undefined;
  if ("suffix" in range) return { suffix: range.suffix };
  return range.last === undefined ? { offset: range.first } : { offset: range.first, length: range.last - range.first + 1 };
}

/** `no-cache`, or a conditional request (squid's refresh-ims): the client would like to know whether this is still the file. */
export function isDoubtful({ headers }: Client): boolean {
  if (headers.has("if-modified-since") || headers.has("if-none-match")) return true;
  return hasNoCache(headers.get("cache-control"));
}

/** Agents that take a body shorter than its Content-Length for whole: a cut in chunked framing raises there too. */
const LENGTH_BLIND_AGENTS = /python-requests|python-urllib|koji/i;

export function isLengthBlind({ headers }: Client): boolean {
  return LENGTH_BLIND_AGENTS.test(headers.get("user-agent") ?? "");
}
