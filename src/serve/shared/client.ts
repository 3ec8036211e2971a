import { type ByteRange, parseRange } from "../../http/byte-ranges.ts";
import { asksAnew } from "../../http/cache-control.ts";

/** One request as serve/ sees it. */
export interface Client {
  /** GET or HEAD. */
  readonly method: string;
  readonly headers: Headers;
  /** Keeps work alive after the response. */
  readonly waitUntil: (work: Promise<unknown>) => void;
  /** Called when the body has gone out, or was cut off by either side: `bytes` of it were sent, and why no more. */
  readonly onBody: (bytes: number, cut: string | null) => void;
  /** Called where the answer has all its headers, so that none is to be added: `cache` is its Cache-Status. */
  readonly onHead: (cache: string) => void;
}

/** The one range that the request asks for; undefined for all else. */
export function wantedOf({ method, headers }: Client): ByteRange | undefined {
  const ranges = method === "GET" ? parseRange(headers.get("range")) : null;
  return ranges?.length === 1 ? ranges[0] : undefined;
}

/**
 * The client without its ranges where these lead back in the file. Of bytes that are kept nowhere each step back would fetch a slice again, or wait for room
 * that only this client could make. RFC 9110 §14.2, §17.15: such a Range may be ignored.
 */
export function withoutStepsBack(client: Client): Client {
  const ranges = parseRange(client.headers.get("range")) ?? [];
  const isBack = ranges.slice(1).some((range, at) => startOf(range) < startOf(ranges[at]));
  if (!isBack) return client;
  const headers = new Headers(client.headers);
  headers.delete("range");
  return { ...client, headers };
}

/** Of a suffix it is not known before the length is: only as the last one of several is it sure to lead on. */
function startOf(range: ByteRange | undefined): number {
  return range !== undefined && "first" in range ? range.first : Infinity;
}

/** `no-cache`, or a conditional request (squid's refresh-ims): the client would like to know whether this is still the file. */
export function isDoubtful({ headers }: Client): boolean {
  if (headers.has("if-modified-since") || headers.has("if-none-match")) return true;
  return asksAnew(headers);
}

/** Agents that take a body shorter than its Content-Length for whole: a cut in chunked framing raises there too. */
const LENGTH_BLIND_AGENTS = /python-requests|python-urllib|koji/i;

export function isLengthBlind({ headers }: Client): boolean {
  return LENGTH_BLIND_AGENTS.test(headers.get("user-agent") ?? "");
}
