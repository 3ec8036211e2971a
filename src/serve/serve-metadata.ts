import type { CacheStatus } from "../http/cache-status.ts";
import type { Resolution } from "../metadata/ports/repositories.ts";
import type { Target } from "../route/target.ts";
import type { Client } from "./client.ts";
import { refuse, refuseAbsent, refuseFailure } from "./answer/failure.ts";
import type { ServeDependencies } from "./dependencies.ts";
import { serveChecked } from "./serve-checked.ts";
import { answerStored, lookUp } from "./stored.ts";

/** Roots, their companions and unhashed members: whatever the repository's published generation says they are. */
export async function serveMetadata(client: Client, target: Target, deps: ServeDependencies): Promise<Response> {
  const resolution = await deps.repositories.resolve(target);
  const response = await serveResolution(client, target, resolution, deps);
  if (response !== null) return response;
  if (resolution.kind === "opaque") return serveChecked(client, target, deps, { ttlSeconds: deps.config.metadataTtlSeconds });
  // The store has lost it: evicted, or a disk that was cleaned by hand.
  const again = await deps.repositories.resolve(target, resolution.kind === "object" ? resolution.key : undefined);
  return (await serveResolution(client, target, again, deps)) ?? refuse(502, `The store lost ${target.key} twice`);
}

/** The answer that a repository gave; null where it has none, or the store no longer has what it names. */
export async function serveResolution(
  client: Client,
  target: Target,
  resolution: Resolution,
  deps: ServeDependencies,
): Promise<Response | null> {
  switch (resolution.kind) {
    case "object": {
      const { key, ageSeconds } = resolution;
      const found = await lookUp(client, key, deps);
      if (found === null) return null;
      return answerStored(client, { target, key, found, status: statusOf(resolution, deps.config.metadataTtlSeconds), ageSeconds }, deps);
    }
    case "absent":
      return refuseAbsent(resolution.status, target);
    case "failure": {
      // Nothing is published; but what nobody could parse is stored under its own name, and old is better than nothing.
      const found = await lookUp(client, target.key, deps);
      const ageSeconds = found === null ? 0 : (deps.now() - Math.max(found.object.storedAt, deps.checks.at(target.key))) / 1_000;
      const status = { kind: "hit", ttlSeconds: -1, detail: `stale: ${resolution.detail}` } as const;
      const response = found === null ? null : await answerStored(client, { target, key: target.key, found, status, ageSeconds }, deps);
      return response ?? refuseFailure(resolution);
    }
    case "opaque":
      return null;
  }
}

function statusOf({ state, ageSeconds, detail }: Resolution & { kind: "object" }, ttlSeconds: number): CacheStatus {
  if (state === "revalidated") return { kind: "forwarded", reason: "stale", stored: true, detail };
  return { kind: "hit", ttlSeconds: ttlSeconds - ageSeconds, detail };
}
