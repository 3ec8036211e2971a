import type { Upstream } from "../config/config.ts";
import { encodePath } from "./canonical-path.ts";

/** Where an upstream keeps a path (decoded, canonical, below the mirror); `query` with `?`, or empty. */
export function upstreamUrl(upstream: Upstream, path: string, query = ""): string {
  return `${upstream.url}/${encodePath(path)}${query}`;
}
