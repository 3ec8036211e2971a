/** What a request's Cache-Control asks of a cache (RFC 9111 §5.2.1), as far as we heed it. */
export interface RequestCacheControl {
  readonly noCache: boolean;
  /** Undefined when absent or malformed. */
  readonly maxAgeSeconds: number | undefined;
}

/** One directive; a quoted argument may hold commas. What follows it up to the next comma is passed over. */
const DIRECTIVE = /(?<name>[!#$%&'*+.^_`|~\w-]+)(?:=(?:"(?<quoted>(?:[^"\\]|\\.)*)"|(?<token>[^\s,"]*)))?[^,]*/g;

/** Parses a request's Cache-Control. Names are case-insensitive, an argument may be quoted, the first of two equal directives counts. */
export function parseRequestCacheControl(header: string | null): RequestCacheControl {
  const directives = new Map<string, string>();
  for (const { groups } of (header ?? "").matchAll(DIRECTIVE)) {
    const name = groups?.["name"]?.toLowerCase() ?? "";
    if (!directives.has(name)) directives.set(name, groups?.["quoted"] ?? groups?.["token"] ?? "");
  }
  const maxAge = directives.get("max-age") ?? "";
  return {
    noCache: directives.has("no-cache"),
    // RFC 9111 §1.2.2: a number too great to hold counts as a very long time.
    maxAgeSeconds: /^\d+$/.test(maxAge) ? Math.min(Number(maxAge), Number.MAX_SAFE_INTEGER) : undefined,
  };
}
