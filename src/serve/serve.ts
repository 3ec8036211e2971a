import type { PathClass } from "../config/config.ts";
import type { Target } from "../route/target.ts";
import type { Client } from "./client.ts";
import type { ServeDependencies } from "./dependencies.ts";
import { serveChecked } from "./serve-checked.ts";
import { serveHashed } from "./serve-hashed.ts";
import { serveMetadata } from "./serve-metadata.ts";
import { serveMiss } from "./serve-miss.ts";
import { servePackage } from "./serve-package.ts";

/** The whole way of a request below a mirror: what kind of file it is decides how fresh a stored copy must be. */
export async function serve(client: Client, target: Target, deps: ServeDependencies): Promise<Response> {
  const response = await serveClass(client, target, deps);
  if (response.status < 400 && CHANGING.has(target.class)) response.headers.set("Cache-Control", "no-cache, no-transform");
  return response;
}

/** A cache on the way (RFC 9111 §4.2.2 lets it guess a life from the date) would mix old and new metadata, for days in the case of old files. */
const CHANGING: ReadonlySet<PathClass> = new Set<PathClass>(["root", "member", "volatile", "pass"]);

async function serveClass(client: Client, target: Target, deps: ServeDependencies): Promise<Response> {
  switch (target.class) {
    case "hashed":
      return serveHashed(client, target, deps);
    case "package":
    case "unstable-package":
      return servePackage(client, target, deps);
    case "root":
    case "member":
      return serveMetadata(client, target, deps);
    case "volatile":
      return serveChecked(client, target, deps, { ttlSeconds: VOLATILE_TTL_SECONDS });
    case "pass":
      return serveMiss(client, target, deps);
  }
}

/** Listings, images under a moving name, keys, logs: nobody promised how long they stay. */
const VOLATILE_TTL_SECONDS = 120;
