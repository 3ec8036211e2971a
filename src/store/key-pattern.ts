/** Longer than any stored key. */
const MAX_PATTERN_LENGTH = 1024;

/**
 * An operator's pattern of keys: `*` stands for any characters, also `/`; `?` stands for one; any other character for itself. Matching takes at most
 * pattern × key steps. (SQLite's GLOB may take exponential time, and at the edge it accepts only 50 bytes of pattern.)
 */
export interface KeyPattern {
  readonly text: string;
  /** Every matching key begins with this. */
  readonly prefix: string;
  /** Whether a key that begins with `start` can match. */
  reaches(start: string): boolean;
  matches(key: string): boolean;
}

/** Parses a pattern; null if it is empty or longer than any key. Drops leading slashes, which keys do not have. */
export function parseKeyPattern(written: string): KeyPattern | null {
  const text = written.replace(/^\/+/, "");
  if (text === "" || text.length > MAX_PATTERN_LENGTH) return null;
  const [prefix = ""] = text.split(/[*?]/, 1);
  return {
    text,
    prefix,
    // What follows a part that matches `start` can match something.
    reaches: (start) => Array.from(text, (_, at) => text.slice(0, at + 1)).some((part) => matchesGlob(part, start)),
    matches: (key) => matchesGlob(text, key),
  };
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
      // Let the last star match one more character. Earlier stars need no second try: the last one can match whatever they would leave.
      p = star + 1;
      k = ++starKey;
    } else {
      return false;
    }
  }
  while (pattern[p] === "*") p++;
  return p === pattern.length;
}
