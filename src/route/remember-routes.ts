import type { Routed } from "./target.ts";

/** Targets that are remembered; with one more all are forgotten. Some 500 bytes each. */
const MAX_TARGETS = 4_000;

/**
 * `route`, with the files that it found lately: to judge a path takes some twenty patterns, and clients ask for the same files again. `url`, `host` and
 * `prefix` are as in `RequestTarget`, and all that `route` goes by.
 */
export function rememberRoutes(
  route: (url: string, host: string | undefined, prefix: string) => Routed,
): (url: string, host: string | undefined, prefix: string) => Routed {
  const known = new Map<string, Routed>();
  return (url, host, prefix) => {
    const name = `${host ?? ""} ${prefix} ${url}`;
    const before = known.get(name);
    if (before !== undefined) return before;
    const routed = route(url, host, prefix);
    if (routed.kind !== "mirror") return routed;
    if (known.size >= MAX_TARGETS) known.clear();
    known.set(name, routed);
    return routed;
  };
}
