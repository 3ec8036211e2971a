import type { Target } from "../route/target.ts";
import { StoreError, type StoredBody } from "../store/object-store.ts";
import { type Client, wantedOf } from "./shared/client.ts";
import type { ServeDependencies } from "./shared/dependencies.ts";

/** What lies in the store, with the bytes that the client asks for where one read gives them. A store that fails is a miss. */
export async function look(client: Client, target: Target, { store, log }: ServeDependencies): Promise<StoredBody | null> {
  // Uploads that are still written to are never stored.
  if (target.class === "pass") return null;
  try {
    if (client.method !== "HEAD") return await store.get(target.key, wantedOf(client));
    const object = await store.head(target.key);
    return object === null ? null : { object, body: null };
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    log(`Cannot read ${target.key} from the store: ${error.message}`);
    return null;
  }
}
