/**
 * A place in a body: 0 is before its first byte, a fraction below 1 is that part of it, anything else a byte count.
 * A cut, a stall or a reset counts from the first byte of that response; a flip counts from the start of the file.
 */
export type Position = number;

/** `length`: Content-Length. `chunked`: HTTP/1.1 chunks. `close`: neither, the body ends with the connection (HTTP/1.0 style). */
export type Framing = "length" | "chunked" | "close";

/** What an upstream does wrong. Every kind keeps the rest of the response as a healthy origin would send it. */
export type Fault =
  /** Headers promise the whole body; the connection ends (FIN) at `at`. With `chunked`, the last chunk never comes. */
  | { readonly kind: "cut"; readonly at: Position; readonly framing?: Framing }
  /** As `cut`, with a TCP reset. */
  | { readonly kind: "reset"; readonly at: Position }
  /** A shorter file that looks whole: its Content-Length agrees with the bytes sent. */
  | { readonly kind: "short"; readonly at: Position }
  | { readonly kind: "flip"; readonly at: Position }
  /** Content-Length off by so many bytes; the body is whole. */
  | { readonly kind: "lying-length"; readonly by: number }
  /** The whole body without a Content-Length. */
  | { readonly kind: "framing"; readonly framing: "chunked" | "close" }
  /** An error or any other status, with `body` (default: a short text; empty: `Content-Length: 0`). */
  | {
      readonly kind: "status";
      readonly status: number;
      readonly body?: string;
      /** Of `body`; `latin1` for one that is no text. Default: UTF-8. */
      readonly encoding?: BufferEncoding;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** 200 with a page that says something went wrong. */
  | { readonly kind: "html" }
  /** 200 with `Content-Encoding: gzip`, whether the client asked for it or not. */
  | { readonly kind: "gzip" }
  /** The body stops at `at` and goes on when the fault is cleared. */
  | { readonly kind: "stall"; readonly at: Position }
  /** The connection is accepted and nothing is said; the answer comes when the fault is cleared. */
  | { readonly kind: "black-hole" }
  | { readonly kind: "drip"; readonly bytesPerSecond: number }
  /** `to` is a URL or path; without it the redirect leads to itself, for ever. */
  | { readonly kind: "redirect"; readonly to?: string; readonly status?: number }
  /** 200 and the whole file for every Range. */
  | { readonly kind: "ignore-range" }
  /** A 206 that starts one byte late, says no Content-Range, or claims another total. */
  | { readonly kind: "wrong-range"; readonly how: "start" | "no-content-range" | "total" }
  /** No ETag and no Last-Modified. */
  | { readonly kind: "no-validators" }
  /** 304 to everything, conditional or not. */
  | { readonly kind: "not-modified" }
  /** Bytes that are no HTTP at all. */
  | { readonly kind: "garbage" }
  /** So many bytes of extra headers (default 256 KiB). */
  | { readonly kind: "huge-headers"; readonly bytes?: number }
  /** Extra or other headers. */
  | { readonly kind: "headers"; readonly headers: Readonly<Record<string, string>> };

/** The byte count that `position` means in a body of `length` bytes. */
export function resolvePosition(position: Position, length: number): number {
  return Math.min(length, position < 1 ? Math.floor(position * length) : position);
}

/** What passes on to clients as damage if a mirror only relays it: the rows of the fault table that real clients are held against. */
export const PACKAGE_FAULTS: Readonly<Record<string, Fault>> = {
  "early close after the full Content-Length was promised": { kind: "cut", at: 0.4 },
  "close-delimited body, cut": { kind: "cut", at: 0.4, framing: "close" },
  "chunked body without its last chunk": { kind: "cut", at: 0.4, framing: "chunked" },
  "short, self-consistent length": { kind: "short", at: 0.4 },
  "flipped byte": { kind: "flip", at: 0.6 },
  "connection reset": { kind: "reset", at: 0.4 },
  "404": { kind: "status", status: 404 },
  "500": { kind: "status", status: 500 },
  "429": { kind: "status", status: 429 },
  "503 with Retry-After": { kind: "status", status: 503, headers: { "retry-after": "1" } },
  "502 without a body": { kind: "status", status: 502, body: "" },
  "504": { kind: "status", status: 504 },
  "200 with an HTML page": { kind: "html" },
  "gzip that nobody asked for": { kind: "gzip" },
  "a 304 that nobody asked for": { kind: "not-modified" },
  "a Content-Length beyond the body": { kind: "lying-length", by: 1000 },
};
