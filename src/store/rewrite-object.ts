import type { ObjectStore } from "./object-store.ts";
import { readStream } from "./read-object.ts";
import type { StoredObject } from "./stored-object.ts";

const EMPTY = new Uint8Array(0);

/**
 * Changes what is kept beside the bytes of `version`, and leaves the bytes as they are; does nothing where another version lies there by now, or where
 * `change` gives null. An object that is stored as one, of `maxBytes` at most, is read into memory for it; a longer one (stored natively) stays as it is.
 * Throws StoreError.
 */
export async function rewriteObject(
  store: Pick<ObjectStore, "head" | "get" | "put">,
  key: string,
  version: string,
  maxBytes: number,
  change: (object: StoredObject) => StoredObject | null,
): Promise<void> {
  // `get` may be what a data centre's cache remembers; `head` is what is there.
  const head = await store.head(key);
  const changed = head?.version === version ? change(head) : null;
  if (head === null || changed === null) return;
  if (head.sliceBytes !== undefined) {
    await store.put(key, changed, EMPTY);
    return;
  }
  if (head.size > maxBytes) return;
  const current = await store.get(key);
  if (current?.object.version !== version) {
    await current?.body?.cancel();
    return;
  }
  await store.put(key, changed, current.body === null ? EMPTY : await readStream(current.body));
}
