import { asksAnew } from "../http/cache-control.ts";
import type { Target } from "../route/target.ts";
import { keyAtRest } from "../store/keys.ts";
import { StoreError, type StoredBody } from "../store/object-store.ts";
import type { StoredObject } from "../store/stored-object.ts";
import { type Client, wantedOf } from "./shared/client.ts";
import type { ServeDependencies } from "./shared/dependencies.ts";
import { withoutForeignLabels } from "./foreign-labels.ts";

/**
 * What lies in the store, with the bytes that the client asks for where one read gives them: what is proven, for all mirrors, before what this mirror has
 * begun to fetch. A store that fails is a miss. `known`: what lay there a moment ago under the key of the proven bytes, if the target has one.
 */
export async function look(client: Client, target: Target, deps: ServeDependencies, known?: StoredObject): Promise<StoredBody | null> {
  // Uploads that are still written to are never stored.
  if (target.class === "pass") return null;
  const { key, sharedKey } = target;
  if (sharedKey === undefined) return read(client, key, deps, known);
  const shared = await read(client, sharedKey, deps, known);
  if (shared === null) return read(client, key, deps);
  if (keyAtRest(target, shared.object) === sharedKey) return { ...shared, object: withoutForeignLabels(shared.object, target) };
  // Earlier versions stored there what was not proven yet.
  await shared.body?.cancel();
  return read(client, key, deps);
}

async function read(client: Client, key: string, { store, log }: ServeDependencies, known?: StoredObject): Promise<StoredBody | null> {
  try {
    if (client.method !== "HEAD") return await store.get(key, wantedOf(client), { known, isCompared: asksAnew(client.headers) });
    if (known !== undefined) return { object: known, body: null };
    const object = await store.head(key);
    return object === null ? null : { object, body: null };
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    log(`Cannot read ${key} from the store: ${error.message}`);
    return null;
  }
}
