/**
 * The part of a raw query (without `?`) that a mirror allows by name, sorted and spelt in one way, with `?`; or empty. The rest is dropped from key
 * and upstream: `?x=1`, `?x=2`, … would fill the store, and dnf's `countme` would split its hits.
 */
export function canonicalQuery(raw: string, allowed: readonly string[]): string {
  if (raw === "" || allowed.length === 0) return "";
  const kept = new URLSearchParams([...new URLSearchParams(raw)].filter(([name]) => allowed.includes(name)));
  kept.sort();
  return kept.size === 0 ? "" : `?${kept.toString()}`;
}
