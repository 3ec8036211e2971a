/** The request directives of Cache-Control (RFC 9111 §5.2.1) that this cache follows. */
export interface RequestCacheControl {
  readonly noCache: boolean;
  /** `max-age`; undefined when it is absent or malformed. */
  readonly maxAgeSeconds: number | undefined;
}

/** One directive; a quoted argument may hold commas. Anything else before the next comma is ignored. */
const DIRECTIVE = /(?<name>[!#$%&'*+.^_`|~\w-]+)(?:=(?:"(?<quoted>(?:[^"\\]|\\.)*)"|(?<token>[^\s,"]*)))?[^,]*/g;

/** Parses a request's Cache-Control. Names are case-insensitive, arguments may be quoted, and of two equal directives the first counts. */
export function parseRequestCacheControl(header: string | null): RequestCacheControl {
  const directives = new Map<string, string>();
  for (const { groups } of (header ?? "").matchAll(DIRECTIVE)) {
    const name = groups?.["name"]?.toLowerCase() ?? "";
    if (!directives.has(name)) directives.set(name, groups?.["quoted"] ?? groups?.["token"] ?? "");
  }
  const maxAge = directives.get("max-age") ?? "";
  return {
    noCache: directives.has("no-cache"),
    // RFC 9111 §1.2.2: a number too great to represent counts as the greatest one.
    maxAgeSeconds: /^\d+$/.test(maxAge) ? Math.min(Number(maxAge), Number.MAX_SAFE_INTEGER) : undefined,
  };
}
