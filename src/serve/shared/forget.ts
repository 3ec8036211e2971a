import type { ObjectStore } from "../../store/object-store.ts";
import type { StoredObject } from "../../store/stored-object.ts";

/** Deletes the stored head if it is still this version. */
export async function forget(
  key: string,
  { version }: StoredObject,
  { store, log }: { readonly store: Pick<ObjectStore, "head" | "delete">; readonly log: (message: string) => void },
): Promise<void> {
  try {
    const head = await store.head(key);
    if (head?.version === version) await store.delete([key]);
  } catch (error) {
    log(`Cannot delete ${key}: ${String(error)}`);
  }
}
