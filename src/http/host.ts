/** Longest name that DNS carries (RFC 1035 §2.3.4). */
const MAX_HOST_CHARACTERS = 253;
const AUTHORITY = /^(?:(\[[0-9a-f:.]+\])|([a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?)(?::(\d{0,5}))?$/;
const MAX_PORT = 65_535;

/**
 * Parses a Host header or the authority of a URL.
 * @returns the host in lower case, without port and trailing dot, IPv6 in brackets and in its short form (RFC 5952); null for anything else, also where
 * it holds credentials. RFC 9112 §3.2: such a request is answered with 400.
 */
export function parseHost(authority: string): string | null {
  const [, ipv6, name, port = ""] = AUTHORITY.exec(authority.toLowerCase()) ?? [];
  if (Number(port) > MAX_PORT) return null;
  if (name !== undefined) return name.length <= MAX_HOST_CHARACTERS ? name : null;
  // `URL` writes the short form of an IPv6 address.
  return ipv6 !== undefined && URL.canParse(`http://${ipv6}`) ? new URL(`http://${ipv6}`).hostname : null;
}
