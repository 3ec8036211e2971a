import type { Target } from "../route/target.ts";
import type { Client } from "./client.ts";
import { revalidate } from "./revalidate.ts";
import type { ServeDependencies } from "./dependencies.ts";
import { serveMiss } from "./serve-miss.ts";
import { answerStored, lookUp } from "./stored.ts";

/** Files that may change under their name: from the store while fresh, then asked for conditionally, and stale when nobody answers. */
export async function serveChecked(
  client: Client,
  target: Target,
  deps: ServeDependencies,
  { ttlSeconds }: { ttlSeconds: number },
): Promise<Response> {
  const found = await lookUp(client, target.key, deps);
  if (found === null) return serveMiss(client, target, deps);
  const ageSeconds = (deps.now() - Math.max(found.object.storedAt, deps.checks.at(target.key))) / 1_000;
  if (ageSeconds >= ttlSeconds) return revalidate(client, target, found, deps);
  const status = { kind: "hit", ttlSeconds: ttlSeconds - ageSeconds } as const;
  const response = await answerStored(client, { target, key: target.key, found, status, ageSeconds }, deps);
  return response ?? serveMiss(client, target, deps);
}
