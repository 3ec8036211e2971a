import type { Target } from "../route/target.ts";
import type { Client } from "./client.ts";
import { refuse, refuseAbsent, refuseFailure } from "./failure.ts";
import type { ServeDependencies } from "./dependencies.ts";
import { serveChecked } from "./serve-checked.ts";
import { answerStored, lookUp } from "./stored.ts";

/** Roots, their companions and unhashed members: whatever the repository's published generation says they are. */
export async function serveMetadata(client: Client, target: Target, deps: ServeDependencies, lost?: string): Promise<Response> {
  const resolution = await deps.repositories.resolve(target, lost);
  switch (resolution.kind) {
    case "object": {
      const { key, state, ageSeconds, detail } = resolution;
      const found = await lookUp(client, key, deps);
      const ttlSeconds = Math.floor(deps.config.metadataTtlSeconds - ageSeconds);
      const status =
        state === "revalidated"
          ? ({ kind: "forwarded", reason: "stale", status: 304, detail } as const)
          : ({ kind: "hit", ttlSeconds, detail } as const);
      const response = found === null ? null : await answerStored(client, { target, key, found, status, ageSeconds }, deps);
      if (response !== null) return response;
      if (lost === undefined) return serveMetadata(client, target, deps, key);
      return refuse(502, `The store lost ${target.key} twice`);
    }
    case "absent":
      return refuseAbsent(resolution.status, target.key);
    case "failure":
      return refuseFailure(resolution);
    case "opaque":
      return serveChecked(client, target, deps, { ttlSeconds: deps.config.metadataTtlSeconds });
  }
}
