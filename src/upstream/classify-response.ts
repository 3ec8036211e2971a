import type { Upstream } from "../config/config.ts";
import { parseContentRange } from "../http/content-range.ts";
import { cleanContentType } from "../http/content-type.ts";
import { parseHttpDate, parseRetryAfter } from "../http/http-date.ts";
import type { Representation, UpstreamRequest } from "./upstream.ts";

/** The parts of a request to one upstream that decide which responses to it are valid; the first three as in `UpstreamRequest`. */
export interface SentRequest extends Pick<UpstreamRequest, "class" | "range" | "conditional"> {
  readonly method: "GET" | "HEAD";
  readonly upstream: Upstream;
  /** Bytes of the whole, where an earlier response has said so: a Content-Range may leave them open (RFC 9110 §14.4). */
  readonly knownSize?: number | undefined;
}

/** What the status and headers of one final response mean for the request. Each `detail` continues a sentence that begins with the upstream. */
export type ClassifiedResponse =
  /**
   * A body with the bytes [first, end) follows; `end` is undefined where the headers state no length. `isEndVisible`: a cut of the body shows, by its length
   * or because the last of its chunks is missing.
   */
  | {
      readonly kind: "body";
      readonly representation: Representation;
      readonly first: number;
      readonly end: number | undefined;
      readonly isEndVisible: boolean;
    }
  | { readonly kind: "head"; readonly representation: Representation }
  | { readonly kind: "not-modified" }
  | { readonly kind: "unsatisfiable"; readonly size: number | undefined }
  | { readonly kind: "absent"; readonly status: 404 | 410 }
  /** 401 or 403: also the word of object stores for what is not there. */
  | { readonly kind: "forbidden"; readonly detail: string }
  /**
   * `busy`: 503, of this path. `limited`: 429, which limits the client that asks, whatever it asks for (RFC 6585 §4). `retryAfterSeconds` is undefined where
   * Retry-After is absent or malformed (RFC 9110 §10.2.3).
   */
  | { readonly kind: "busy" | "limited"; readonly detail: string; readonly retryAfterSeconds: number | undefined }
  /**
   * The upstream works, but does not serve this path: the other 4xx, and 508. `isRing`: it refused the mirrors that the waiting requests had passed, which says
   * nothing to requests that have not. `isMisdirected`: 421, it does not speak for this file at all (RFC 9110 §15.5.20), so that the other upstreams' word counts.
   */
  | { readonly kind: "refused"; readonly detail: string; readonly isRing?: true; readonly isMisdirected?: true }
  /** The response breaks HTTP, or is an error of the server (5xx): it counts as a failure of the upstream. */
  | { readonly kind: "wrong"; readonly detail: string };

/**
 * Classifies a final response (RFC 9110 §15: neither 1xx nor a redirect) by its status and headers alone.
 * @param now milliseconds since the epoch, for a Retry-After date.
 */
export function classifyResponse({ status, headers }: Response, sent: SentRequest, now: number): ClassifiedResponse {
  switch (status) {
    case 200:
      return classifyWhole(headers, sent);
    case 206:
      return classifyPart(headers, sent);
    case 304:
      return sent.conditional !== undefined ? { kind: "not-modified" } : wrong("answered 304 to an unconditional request");
    case 404:
    case 410:
      return { kind: "absent", status };
    case 401:
    case 403:
      return { kind: "forbidden", detail: `answered ${status}` };
    case 416:
      return classifyUnsatisfiable(headers, sent);
    case 429:
    case 503: {
      const retryAfterSeconds = parseRetryAfter(headers.get("retry-after"), now);
      return { kind: status === 429 ? "limited" : "busy", detail: `answered ${status}`, retryAfterSeconds };
    }
    case 421:
      return { kind: "refused", detail: "answered 421", isMisdirected: true };
    default: {
      const detail = `answered ${status}`;
      // RFC 5842 §7.2: with 508 a mirror that has us as its upstream says that it would ask us in turn. It still serves requests of others, so
      // its breaker must not open.
      return (status >= 400 && status < 500) || status === 508 ? { kind: "refused", detail } : wrong(detail);
    }
  }
}

function classifyWhole(headers: Headers, sent: SentRequest): ClassifiedResponse {
  // RFC 9112 §6.3: "If a message is received with both a Transfer-Encoding and a Content-Length header field, the Transfer-Encoding overrides the
  // Content-Length."
  const size = isChunked(headers) ? undefined : parseLength(headers.get("content-length"));
  if (size === null) return wrong("sent a malformed Content-Length");
  return classifyBody(headers, sent, size, 0, size);
}

/**
 * RFC 9110 §15.3.7. Only the part that was asked for is accepted: any other would be appended at the wrong place of the file. Some caches answer 206 to a
 * plain GET as well, with all of the file, which clients take.
 */
function classifyPart(headers: Headers, sent: SentRequest): ClassifiedResponse {
  const { first, last } = sent.range ?? { first: 0 };
  const text = headers.get("content-range");
  const part = parseContentRange(text);
  const size = part?.kind === "range" ? (part.size ?? sent.knownSize) : undefined;
  if (part?.kind !== "range" || size === undefined) return wrong(`answered 206 with Content-Range "${text ?? ""}"`);
  if (part.first !== first || part.last !== Math.min(last ?? Infinity, size - 1)) {
    return wrong(`answered 206 with "${text}" where ${sent.range === undefined ? "all" : `bytes ${first}-${last ?? ""}`} was asked for`);
  }
  const length = parseLength(headers.get("content-length"));
  if (length === null || (length !== undefined && length !== part.last - part.first + 1)) {
    return wrong(`answered 206 with "${text}" and a Content-Length of ${headers.get("content-length")}`);
  }
  return classifyBody(headers, sent, size, first, part.last + 1);
}

function classifyUnsatisfiable(headers: Headers, sent: SentRequest): ClassifiedResponse {
  if (sent.range === undefined) return wrong("answered 416 to a request without Range");
  const range = parseContentRange(headers.get("content-range"));
  const size = range?.kind === "unsatisfied" ? range.size : undefined;
  if (size !== undefined && sent.range.first < size) return wrong(`answered 416 for byte ${sent.range.first} of ${size}`);
  return { kind: "unsatisfiable", size };
}

function classifyBody(
  headers: Headers,
  sent: SentRequest,
  size: number | undefined,
  first: number,
  end: number | undefined,
): ClassifiedResponse {
  // What is no date can be compared by no client and no server.
  const lastModified = headers.get("last-modified")?.trim();
  const encoding = headers.get("content-encoding")?.trim().toLowerCase();
  const representation: Representation = {
    size,
    etag: cleanEntityTag(headers.get("etag")),
    lastModified: parseHttpDate(lastModified) === null ? undefined : lastModified,
    contentType: cleanContentType(headers.get("content-type")),
    contentEncoding: encoding === "" || encoding === "identity" ? undefined : encoding,
    upstream: sent.upstream.url,
  };
  return sent.method === "HEAD"
    ? { kind: "head", representation }
    : { kind: "body", representation, first, end, isEndVisible: end !== undefined || isChunked(headers) };
}

/**
 * Whether the runtime says that the body came in chunks: then it throws where the last one is missing. A body that ends with its connection looks whole
 * wherever it was cut, and of HTTP/2 nothing is said (docs/decisions/0013-bytes-over-labels.md).
 */
function isChunked(headers: Headers): boolean {
  const codings = headers.get("transfer-encoding")?.split(",") ?? [];
  return codings.at(-1)?.trim().toLowerCase() === "chunked";
}

/** An ETag as it may be stored, and sent to its upstream again: also one without quotes, which some servers send; none with control characters. */
function cleanEntityTag(text: string | null): string | undefined {
  const tag = text?.trim() ?? "";
  return /^[\x20-\x7e\xa0-\xff]{1,512}$/.test(tag) ? tag : undefined;
}

/**
 * Content-Length in bytes; undefined: the header is absent, null: it is no whole number below 2^53. Several equal ones are one (RFC 9110 §8.6): a proxy
 * on the way has added its own.
 */
function parseLength(text: string | null): number | undefined | null {
  if (text === null) return undefined;
  const [length = Number.NaN, ...others] = text.split(",").map((value) => (/^\d+$/.test(value.trim()) ? Number(value) : Number.NaN));
  return Number.isSafeInteger(length) && others.every((other) => other === length) ? length : null;
}

function wrong(detail: string): ClassifiedResponse {
  return { kind: "wrong", detail };
}
