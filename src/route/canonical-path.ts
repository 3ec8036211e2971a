/** Control characters would end lines in logs and headers, some servers take `\` for a separator, and `?` would look like a query in the key. */
const REFUSED_CHARACTERS = /[\p{Cc}\\?]/u;

/**
 * The one spelling of a raw request path: percent-decoded once, `//` and `/./` removed, without leading slash, a trailing one kept. Clients ask for
 * one file as `%2b`, `%2B` and `+`: all give the same path. `..` is refused in any encoding and never resolved: only an attacker sends it, and a
 * proxy before us may have checked another path than the one we would serve. An encoded slash is refused, since it would join two names into one.
 * `detail`: a sentence for the client.
 */
export function canonicalPath(raw: string): { readonly ok: true; readonly path: string } | { readonly ok: false; readonly detail: string } {
  const wrong = (why: string) => ({ ok: false, detail: `Cannot use the path: ${why}` }) as const;
  const segments: string[] = [];
  let last = "";
  for (const rawSegment of raw.split("/")) {
    const segment = decodeOnce(rawSegment);
    if (segment === null) return wrong("it is not percent-encoded UTF-8");
    if (segment === "..") return wrong("'..' leads out of its folder");
    if (segment.includes("/")) return wrong("an encoded slash is not part of a name");
    if (REFUSED_CHARACTERS.test(segment)) return wrong("control characters, '\\' and '?' are not part of a name");
    last = segment === "." ? "" : segment;
    if (last !== "") segments.push(last);
  }
  const path = segments.join("/");
  return { ok: true, path: last === "" && path !== "" ? `${path}/` : path };
}

/**
 * The path as it is sent upstream: `canonicalPath(encodePath(path))` is `path` again. `+` is sent as %2B, since some servers read it as a space; the other
 * characters that names hold and a path may hold as they are (RFC 3986 §3.3) go as clients send them, since some servers compare paths undecoded.
 */
export function encodePath(path: string): string {
  return encodeURIComponent(path).replaceAll(/%(?:2F|3A|40|3D|2C)/g, decodeURIComponent);
}

/** Decodes percent-encoding (RFC 3986 §2.1). Null for bad escapes, overlong or broken UTF-8, and raw bytes beyond ASCII, whose encoding is unknown. */
function decodeOnce(segment: string): string | null {
  if (/\P{ASCII}/u.test(segment)) return null;
  try {
    return decodeURIComponent(segment);
  } catch {
    return null;
  }
}
