/** One directive; a quoted argument may hold commas. Anything else before the next comma is ignored. */
const DIRECTIVE = /([!#$%&'*+.^_`|~\w-]+)(?:="(?:[^"\\]|\\.)*")?[^,]*/g;

/** Whether a request's Cache-Control has the directive `no-cache` (RFC 9111 §5.2.1.4), whose name is case-insensitive. */
export function hasNoCache(header: string | null): boolean {
  return [...(header ?? "").matchAll(DIRECTIVE)].some(([, name]) => name?.toLowerCase() === "no-cache");
}
