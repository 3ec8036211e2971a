/** Longer than any stored key. */
const MAX_PATTERN_LENGTH = 1024;

/**
 * An operator's pattern of keys: `*` stands for any characters, also `/`, `?` for one; all else for itself. Matching takes at most
 * pattern × key steps, whatever the pattern (SQLite's GLOB takes exponential time, and 50 bytes of pattern at the edge).
 */
export interface KeyPattern {
  readonly text: string;
  /** What every matching key begins with. */
  readonly prefix: string;
  matches(key: string): boolean;
}

/** Null for an empty or overlong pattern. A leading slash is dropped: keys have none. */
export function parseKeyPattern(written: string): KeyPattern | null {
  const text = written.replace(/^\/+/, "");
  if (text === "" || text.length > MAX_PATTERN_LENGTH) return null;
  const [prefix = ""] = text.split(/[*?]/, 1);
  return { text, prefix, matches: (key) => matchesGlob(text, key) };
}

function matchesGlob(pattern: string, key: string): boolean {
  let p = 0;
  let k = 0;
  let star = -1;
  let starKey = 0;
  while (k < key.length) {
    if (pattern[p] === "*") {
      star = p++;
      starKey = k;
    } else if (p < pattern.length && (pattern[p] === "?" || pattern[p] === key[k])) {
      p++;
      k++;
    } else if (star >= 0) {
      // The last star takes one more character; earlier ones need not be tried again.
      p = star + 1;
      k = ++starKey;
    } else {
      return false;
    }
  }
  while (pattern[p] === "*") p++;
  return p === pattern.length;
}
