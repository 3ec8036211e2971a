import type { ObjectStore } from "./object-store.ts";

/** Deletes the object under the key if it is still this version. Throws StoreError. */
export async function deleteVersion(store: Pick<ObjectStore, "head" | "delete">, key: string, version: string): Promise<void> {
  const head = await store.head(key);
  if (head?.version === version) await store.delete([key]);
}
