/** Longest name that DNS carries (RFC 1035 §2.3.4). */
const MAX_HOST_CHARACTERS = 253;
const AUTHORITY = /^(?:(\[[0-9a-f:.]+\])|([a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?)(?::\d{0,5})?$/;

/**
 * The host of a Host header or of a URL's authority: lower case, without port and trailing dot; IPv6 in brackets and in its one short form.
 * Null for anything else, credentials included (RFC 9112 §3.2: the answer to it is 400).
 */
export function parseHost(authority: string): string | null {
  const [, ipv6, name] = AUTHORITY.exec(authority.toLowerCase()) ?? [];
  if (name !== undefined) return name.length <= MAX_HOST_CHARACTERS ? name : null;
  // `URL` knows the short form of an IPv6 address (RFC 5952); no path goes through it.
  return ipv6 !== undefined && URL.canParse(`http://${ipv6}`) ? new URL(`http://${ipv6}`).hostname : null;
}
