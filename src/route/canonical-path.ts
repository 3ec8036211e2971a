/** A path that names one object, or why it names none. */
export type CanonicalPath = { readonly ok: true; readonly path: string } | { readonly ok: false; readonly detail: string };

/** Control characters end lines in logs and headers; `\` is a separator to some servers; `?` would make a path look like a query in the key. */
const REFUSED_CHARACTERS = /[\p{Cc}\\?]/u;

/**
 * The one spelling of a raw request path: percent-decoded once, `//` and `/./` removed, without leading slash, a trailing one kept. Clients ask
 * for one file as `%2b`, `%2B` and `+`: all give the same path. `..` is refused in any encoding, never resolved: what leads up
 * is an attack, and a server in between may have seen another path than we do. So is an encoded slash, which would join two names into a third.
 */
export function canonicalPath(raw: string): CanonicalPath {
  const segments: string[] = [];
  let last = "";
  for (const rawSegment of raw.split("/")) {
    const segment = decodeOnce(rawSegment);
    if (segment === null) return refuse("it is not percent-encoded UTF-8");
    if (segment === "..") return refuse("'..' leads out of its folder");
    if (segment.includes("/")) return refuse("an encoded slash is not part of a name");
    if (REFUSED_CHARACTERS.test(segment)) return refuse("control characters, '\\' and '?' are not part of a name");
    last = segment === "." ? "" : segment;
    if (last !== "") segments.push(last);
  }
  const path = segments.join("/");
  return { ok: true, path: last === "" && path !== "" ? `${path}/` : path };
}

/** The path as sent upstream: `canonicalPath(encodePath(path))` is `path` again. `+` goes as %2B, for servers that read it as a space. */
export function encodePath(path: string): string {
  return encodeURIComponent(path).replaceAll("%2F", "/").replaceAll("%3A", ":");
}

/** RFC 3986 §2.1; null for bad escapes, overlong or broken UTF-8, and for raw bytes beyond ASCII, whose encoding nobody declared. */
function decodeOnce(segment: string): string | null {
  if (/\P{ASCII}/u.test(segment)) return null;
  try {
    return decodeURIComponent(segment);
  } catch {
    return null;
  }
}

function refuse(why: string): CanonicalPath {
  return { ok: false, detail: `Cannot use the path: ${why}` };
}
