import { keyAtRest, type Keys } from "./keys.ts";
import type { ObjectStore } from "./object-store.ts";
import { rewriteObject } from "./rewrite-object.ts";
import type { StoredObject } from "./stored-object.ts";

const EMPTY = new Uint8Array(0);

/**
 * Notes beside the bytes of a stored object how far they are proven; does nothing where another version lies there by now, or the object was judged before.
 * The head of a sliced object that is proven moves to the key that all mirrors share: its slices belong to the version, and stay where they are.
 * @param maxBytes as of `rewriteObject`. Returns whether this version lay there. Throws StoreError.
 */
export async function putVerdict(
  store: Pick<ObjectStore, "head" | "get" | "getSlice" | "put" | "delete">,
  keys: Keys,
  judged: StoredObject,
  maxBytes: number,
): Promise<boolean> {
  const atRest = keyAtRest(keys, judged);
  // Requests that read at the same time come to the same verdict: one write is enough.
  if (atRest === keys.key)
    return rewriteObject(store, keys.key, judged.version, maxBytes, (object) => (object.verified === "none" ? judged : null));
  const head = await store.head(keys.key);
  if (head?.version !== judged.version) return (await store.head(atRest))?.version === judged.version;
  await store.put(atRest, judged, EMPTY);
  await store.delete([keys.key]);
  return true;
}
