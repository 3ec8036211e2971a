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
