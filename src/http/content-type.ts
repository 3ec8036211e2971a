/** Real media types are far shorter; RFC 6838 §4.2 allows a name 127 characters. */
const MAX_CHARACTERS = 255;
const TOKEN = "[\\w!#$%&'*+.^`|~-]+";
const ESSENCE = new RegExp(`^${TOKEN}/${TOKEN}(?=\\s*(?:;|$))`);
/** A quoted value without `,` and `\`: RFC 9110 §5.6.4 allows them, and no real type of a file has them. */
const WHOLE = new RegExp(
  `^${TOKEN}/${TOKEN}(?:[ \\t]*;[ \\t]*(?:${TOKEN}=(?:${TOKEN}|"[\\x20-\\x21\\x23-\\x2b\\x2d-\\x5b\\x5d-\\x7e]*"))?)*$`,
);

/**
 * The Content-Type of an upstream as it may leave again (RFC 9110 §8.3): as it is where it is well formed, without its parameters where only these are
 * not, such as `text/html; charset=<ESC>[31m`, and undefined where it is none at all.
 */
export function cleanContentType(sent: string | null | undefined): string | undefined {
  const text = sent?.trim() ?? "";
  if (text.length <= MAX_CHARACTERS && WHOLE.test(text)) return text;
  const [essence] = ESSENCE.exec(text) ?? [];
  return essence !== undefined && essence.length <= MAX_CHARACTERS ? essence : undefined;
}

/**
 * The same of a stored Content-Type, which an earlier version may have kept as its upstream sent it. Where it is none: `application/octet-stream`
 * (RFC 9110 §8.3).
 */
export function safeContentType(stored: string): string {
  return cleanContentType(stored) ?? "application/octet-stream";
}
