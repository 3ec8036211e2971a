/** One directive; a quoted argument may hold commas. Anything else before the next comma is ignored. */
const DIRECTIVE = /([!#$%&'*+.^_`|~\w-]+)(?:="(?:[^"\\]|\\.)*")?[^,]*/g;

/** Whether a request asks past every cache: `no-cache`, or the `Pragma: no-cache` of old clients, which Cache-Control overrides (RFC 9111 §5.4). */
export function asksAnew(headers: Headers): boolean {
  const cacheControl = headers.get("cache-control");
  return cacheControl === null ? hasNoCache(headers.get("pragma")) : hasNoCache(cacheControl);
}

/**
 * Whether a request's Cache-Control has the directive `no-cache` (RFC 9111 §5.2.1.4), whose name is case-insensitive.
 * @internal
 */
export function hasNoCache(header: string | null): boolean {
  return [...(header ?? "").matchAll(DIRECTIVE)].some(([, name]) => name?.toLowerCase() === "no-cache");
}
