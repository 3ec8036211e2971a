/**
 * The parameters of a raw query (without `?`) whose names a mirror allows, sorted and in one spelling, with `?`; or empty. The others are dropped
 * from key and upstream request: `?x=1`, `?x=2`, … would fill the store, and each value of dnf's `countme` would be a file of its own.
 */
export function canonicalQuery(raw: string, allowed: readonly string[]): string {
  if (raw === "" || allowed.length === 0) return "";
  const kept = new URLSearchParams([...new URLSearchParams(raw)].filter(([name]) => allowed.includes(name)));
  kept.sort();
  return kept.size === 0 ? "" : `?${kept.toString()}`;
}
