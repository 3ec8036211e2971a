import type { CacheStatus } from "../http/cache-status.ts";
import type { Target } from "../route/target.ts";
import type { ObjectStore, StoredBody } from "../store/object-store.ts";
import type { StoredObject } from "../store/stored-object.ts";

export interface StoredAnswer {
  readonly target: Target;
  /** Where it lies in the store. */
  readonly key: string;
  readonly found: StoredBody;
  readonly status: CacheStatus;
  /** Seconds since an upstream last gave or confirmed it. */
  readonly ageSeconds: number;
}

/** Deletes the stored head if it is still this version. */
export async function forget(
  key: string,
  object: StoredObject,
  { store, log }: { readonly store: ObjectStore; readonly log: (message: string) => void },
): Promise<void> {
  try {
    const head = await store.head(key);
    if (head?.version === object.version) await store.delete([key]);
  } catch (error) {
    log(`Cannot delete ${key}: ${String(error)}`);
  }
}
