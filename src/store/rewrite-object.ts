import { bodySize } from "./keys.ts";
import type { ObjectStore } from "./object-store.ts";
import { readPart } from "./read-object.ts";
import type { StoredObject } from "./stored-object.ts";

const EMPTY = new Uint8Array(0);

/**
 * Changes what is kept beside the bytes of `version`, and leaves the bytes as they are; does nothing where another version lies there by now, or where
 * `change` gives null. An object that is stored as one, of `maxBytes` at most, is read into memory for it; a longer one (stored natively) stays as it is.
 * Returns whether this version lay there when it began. Throws StoreError.
 */
export async function rewriteObject(
  store: Pick<ObjectStore, "head" | "get" | "getSlice" | "put">,
  key: string,
  version: string,
  maxBytes: number,
  change: (object: StoredObject) => StoredObject | null,
): Promise<boolean> {
  // `get` may be what a data centre's cache remembers; `head` is what is there.
  const head = await store.head(key);
  const changed = head?.version === version ? change(head) : null;
  if (head?.version !== version) return false;
  if (changed === null || (head.sliceBytes === undefined && head.size > maxBytes)) return true;
  const bytes = bodySize(head) === 0 ? EMPTY : await readPart(store, key, head, 0, head.size);
  // The read took its time: another version may have come, or the head gone.
  const isStill = bytes === EMPTY || (await store.head(key))?.version === version;
  if (bytes !== null && isStill) await store.put(key, changed, bytes, { ifVersion: version });
  return true;
}
