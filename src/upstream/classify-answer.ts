import type { PathClass } from "../config/config.ts";
import { parseContentRange } from "../http/content-range.ts";
import { parseRetryAfter } from "../http/retry-after.ts";
import type { Representation } from "./upstream.ts";

/** What was asked, as far as it decides what may be answered. */
export interface Asked {
  readonly method: "GET" | "HEAD";
  readonly class: PathClass;
  /** Set when a Range was sent. */
  readonly range?: { readonly first: number; readonly last?: number } | undefined;
  readonly isConditional: boolean;
}

/** What one upstream's headers come to. */
export type Verdict =
  /** A body with the bytes [first, end) follows; `end` undefined: not told. */
  | { readonly kind: "body"; readonly representation: Representation; readonly first: number; readonly end: number | undefined }
  | { readonly kind: "head"; readonly representation: Representation }
  | { readonly kind: "not-modified" }
  | { readonly kind: "unsatisfiable"; readonly size: number | undefined }
  | { readonly kind: "absent"; readonly status: 404 | 410 }
  /** 429 or 503. */
  | { readonly kind: "busy"; readonly detail: string; readonly retryAfterSeconds: number | undefined }
  /** The upstream works, but not for this path: 403 and the like. */
  | { readonly kind: "refused"; readonly detail: string }
  /** The upstream is at fault. */
  | { readonly kind: "wrong"; readonly detail: string };

/** Mirrors lag: what one lacks the next may have, and a second fetch gives the same bytes. */
export function isImmutable(path: PathClass): boolean {
  return path === "package" || path === "unstable-package" || path === "hashed";
}

/** Judges a final (not redirecting) response by its status and headers alone. */
export function classifyAnswer(status: number, headers: Headers, asked: Asked, upstream: string, now: number): Verdict {
  switch (status) {
    case 200:
      return classifyWhole(headers, asked, upstream);
    case 206:
      return classifyPart(headers, asked, upstream);
    case 304:
      return asked.isConditional ? { kind: "not-modified" } : wrong("answered 304 to an unconditional request");
    case 404:
    case 410:
      return { kind: "absent", status };
    case 416:
      return classifyUnsatisfiable(headers, asked);
    case 429:
    case 503:
      return { kind: "busy", detail: `answered ${status}`, retryAfterSeconds: parseRetryAfter(headers.get("retry-after"), now) };
    default: {
      const detail = `answered ${status}`;
      // 508: a mirror chained to this one, which would ask us in turn (RFC 5842 §7.2). Others' requests are welcome there.
      return (status >= 400 && status < 500) || status === 508 ? { kind: "refused", detail } : wrong(detail);
    }
  }
}

function classifyWhole(headers: Headers, asked: Asked, upstream: string): Verdict {
  const size = parseLength(headers.get("content-length"));
  if (size === null) return wrong("sent a malformed Content-Length");
  const representation = representationOf(headers, size, upstream);
  const disguise = findDisguise(representation, asked.class);
  if (disguise !== undefined) return wrong(disguise);
  if (asked.method === "HEAD") return { kind: "head", representation };
  return { kind: "body", representation, first: 0, end: size };
}

/** RFC 9110 §15.3.7. A part that lies elsewhere than asked would be appended in the wrong place: nothing but the exact part will do. */
function classifyPart(headers: Headers, asked: Asked, upstream: string): Verdict {
  if (asked.range === undefined || asked.method === "HEAD") return wrong("answered 206 to a request without Range");
  const { first, last } = asked.range;
  const text = headers.get("content-range");
  const part = parseContentRange(text);
  if (part?.kind !== "range" || part.size === undefined) return wrong(`answered 206 with Content-Range "${text ?? ""}"`);
  if (part.first !== first || part.last !== Math.min(last ?? Infinity, part.size - 1)) {
    return wrong(`answered 206 with "${text}" where bytes ${first}-${last ?? ""} were asked`);
  }
  const length = parseLength(headers.get("content-length"));
  if (length === null || (length !== undefined && length !== part.last - part.first + 1)) {
    return wrong(`answered 206 with "${text}" and a Content-Length of ${headers.get("content-length")}`);
  }
  const representation = representationOf(headers, part.size, upstream);
  const disguise = findDisguise(representation, asked.class);
  if (disguise !== undefined) return wrong(disguise);
  return { kind: "body", representation, first, end: part.last + 1 };
}

function classifyUnsatisfiable(headers: Headers, asked: Asked): Verdict {
  if (asked.range === undefined) return wrong("answered 416 to a request without Range");
  const range = parseContentRange(headers.get("content-range"));
  const size = range?.kind === "unsatisfied" ? range.size : undefined;
  if (size !== undefined && asked.range.first < size) return wrong(`answered 416 for byte ${asked.range.first} of ${size}`);
  return { kind: "unsatisfiable", size };
}

function representationOf(headers: Headers, size: number | undefined, upstream: string): Representation {
  const encoding = headers.get("content-encoding")?.trim().toLowerCase();
  return {
    size,
    etag: headers.get("etag") ?? undefined,
    lastModified: headers.get("last-modified") ?? undefined,
    contentType: headers.get("content-type") ?? undefined,
    contentEncoding: encoding === "" || encoding === "identity" ? undefined : encoding,
    upstream,
  };
}

/** A package that comes encoded or as a web page (an error page, a portal, a bot check) is no package. */
function findDisguise(representation: Representation, path: PathClass): string | undefined {
  if (!isImmutable(path)) return undefined;
  if (representation.contentEncoding !== undefined) return `sent a package with Content-Encoding ${representation.contentEncoding}`;
  const isPage = /^\s*(text\/html|application\/xhtml\+xml)\b/i.test(representation.contentType ?? "");
  return isPage ? "sent a web page in place of a package" : undefined;
}

/** Undefined: absent. Null: not a number of bytes. */
function parseLength(text: string | null): number | undefined | null {
  if (text === null) return undefined;
  const length = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(length) ? length : null;
}

function wrong(detail: string): Verdict {
  return { kind: "wrong", detail };
}
