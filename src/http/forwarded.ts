/** What a proxy says of the request that it passes on. Each field is what the proxy wrote, so it is only as true as the proxy is trusted. */
export interface ForwardedElement {
  /** The address of the client that the proxy saw, without port; null: the proxy hides it, or wrote none. */
  readonly address: string | null;
  readonly scheme: "http" | "https" | null;
  /** A Host header's value, as the client sent it to the proxy. */
  readonly host: string | null;
}

/** A token or a quoted string (RFC 9110 §5.6.2, §5.6.4) behind `name=`, and what ends it. */
const PAIR = /\s*(?:([!#$%&'*+.^_`|~\w-]+)=(?:([!#$%&'*+.^_`|~\w:[\]-]*)|"((?:[^"\\]|\\.)*)"))?\s*([;,]|$)/y;

/**
 * Parses a Forwarded header (RFC 7239 §4). Its elements are in the order in which the proxies added them: the last one is of the proxy nearest to this server.
 * @returns null where it is malformed: then no element can be relied upon, since a client may have written the beginning.
 */
export function parseForwarded(header: string): readonly ForwardedElement[] | null {
  const elements: ForwardedElement[] = [];
  let pairs = new Map<string, string>();
  PAIR.lastIndex = 0;
  for (;;) {
    const found = PAIR.exec(header);
    if (found === null) return null;
    const [, name, token, quoted, end] = found;
    if (name !== undefined) pairs.set(name.toLowerCase(), token ?? (quoted ?? "").replaceAll(/\\(.)/g, "$1"));
    if (end === ";") continue;
    // RFC 9110 §5.6.1.2: a recipient ignores empty elements of a list.
    if (pairs.size > 0) elements.push(elementOf(pairs));
    pairs = new Map();
    if (end === "") return elements;
  }
}

/**
 * Parses X-Forwarded-For, -Proto and -Host, which proxies send as lists too; those of `proto` and `host` may be shorter, as most proxies overwrite them. Then
 * their last entries belong to the last proxies.
 */
export function parseXForwarded(given: {
  readonly for: string | null;
  readonly proto: string | null;
  readonly host: string | null;
}): readonly ForwardedElement[] {
  const [addresses, schemes, hosts] = [listOf(given.for), listOf(given.proto), listOf(given.host)];
  const length = Math.max(addresses.length, schemes.length > 0 || hosts.length > 0 ? 1 : 0);
  return Array.from({ length }, (_, at) => {
    const fromEnd = length - at;
    // A proxy that overwrites writes what its client used: what stands first is true for all before it too.
    const pick = (list: readonly string[]): string | undefined => list.at(-Math.min(fromEnd, list.length));
    return {
      address: parseNode(addresses[at] ?? ""),
      scheme: parseScheme(pick(schemes)),
      host: pick(hosts) ?? null,
    };
  });
}

function elementOf(pairs: ReadonlyMap<string, string>): ForwardedElement {
  return { address: parseNode(pairs.get("for") ?? ""), scheme: parseScheme(pairs.get("proto")), host: pairs.get("host") ?? null };
}

function listOf(header: string | null): readonly string[] {
  return header === null || header.trim() === "" ? [] : header.split(",").map((entry) => entry.trim());
}

function parseScheme(text: string | undefined): "http" | "https" | null {
  const scheme = text?.toLowerCase();
  return scheme === "http" || scheme === "https" ? scheme : null;
}

/** An address with or without port and brackets: `192.0.2.1`, `192.0.2.1:4711`, `[2001:db8::1]:4711`, `2001:db8::1` (RFC 7239 §6, and what X-Forwarded-For has). */
export function parseNode(text: string): string | null {
  const [, bracketed, ipv4, ipv6] =
    /^(?:\[([0-9a-f:.]+)\](?::\w+)?|(\d+(?:\.\d+){3})(?::\w+)?|([0-9a-f]*:[0-9a-f:.]*:[0-9a-f:.]*))$/i.exec(text) ?? [];
  const address = bracketed ?? ipv4 ?? ipv6 ?? null;
  // A socket that takes both families has IPv4 in this form.
  return address?.replace(/^::ffff:(?=\d+\.)/i, "") ?? null;
}
