import type { Upstream } from "../config/config.ts";
import { encodePath } from "./canonical-path.ts";

/** The URL of a path (decoded, canonical, below the mirror) at an upstream. `query`: with its `?`, or empty. */
export function upstreamUrl(upstream: Upstream, path: string, query = ""): string {
  return `${upstream.url}/${encodePath(path)}${query}`;
}
