import type { ObjectStore } from "./object-store.ts";
import { readStream } from "./read-object.ts";
import type { StoredObject } from "./stored-object.ts";

const EMPTY = new Uint8Array(0);

/**
 * Changes what is kept beside the bytes of `version`, and leaves the bytes as they are; nothing where another version lies there by now. An object that is
 * stored as one is read into memory for it (it is at most one slice long, but for those that the free plan stores natively: `maxBytes` leaves these alone).
 * Throws StoreError.
 */
export async function rewriteObject(
  store: Pick<ObjectStore, "head" | "get" | "put">,
  key: string,
  version: string,
  maxBytes: number,
  change: (object: StoredObject) => StoredObject,
): Promise<void> {
  // `get` may be what a data centre's cache remembers; `head` is what is there.
  const head = await store.head(key);
  if (head?.version !== version) return;
  if (head.sliceBytes !== undefined) {
    await store.put(key, change(head), EMPTY);
    return;
  }
  if (head.size > maxBytes) return;
  const current = await store.get(key);
  if (current?.object.version !== version) {
    await current?.body?.cancel();
    return;
  }
  const bytes = current.body === null ? EMPTY : await readStream(current.body);
  await store.put(key, change(current.object), bytes);
}
