import { contentKey } from "../store/keys.ts";
import type { Target } from "../route/target.ts";
import type { Client } from "./client.ts";
import type { ServeDependencies } from "./dependencies.ts";
import { serveMiss } from "./serve-miss.ts";
import { serveResolution } from "./serve-metadata.ts";
import { serveFound, servePackage } from "./serve-package.ts";
import { lookUp } from "./stored.ts";

/**
 * Files that carry their digest in their name. The same content is the same object, whichever repository or generation names it; only on a
 * miss is the repository asked, which knows other names for the same file. Of the first hit it is told, as it is to learn what its clients use.
 */
export async function serveHashed(client: Client, target: Target, deps: ServeDependencies): Promise<Response> {
  const named = target.repository?.digest;
  if (named === undefined) return servePackage(client, target, deps);
  const keyed = { ...target, key: contentKey(target.mirror, named) };
  const found = await lookUp(client, keyed.key, deps);
  if (found !== null) {
    await deps.repositories.noteUse(target);
    return serveFound(client, keyed, found, deps);
  }
  if (client.method === "HEAD") return serveMiss(client, keyed, deps);
  const resolution = await deps.repositories.resolve(target);
  // Of another generation than the published one, or too large to fetch ahead.
  return (await serveResolution(client, keyed, resolution, deps)) ?? serveMiss(client, keyed, deps);
}
