import type { ObjectStore } from "./object-store.ts";
import type { StoredObject } from "./stored-object.ts";

/** What is done about a stored object whose bytes changed at rest. */
export interface CondemnDependencies {
  readonly store: Pick<ObjectStore, "head" | "delete">;
  /** From now on no date and no older entity tag matches under this key: a client that got a part of the bytes must not resume behind them. */
  readonly taint: (key: string, version: string) => Promise<void>;
  /** Called for each object that is deleted. */
  readonly onRotten: (key: string, reason: string) => void;
  readonly log: (message: string) => void;
}

/**
 * Deletes a stored object whose bytes are not those that were stored, so that the next request fetches the file again. Does nothing where another object
 * lies under the key by now. `reason`: what is wrong with it, as the end of a sentence. Never throws.
 */
export async function condemn(
  { store, taint, onRotten, log }: CondemnDependencies,
  key: string,
  { version, storedAt }: StoredObject,
  reason: string,
): Promise<void> {
  try {
    // A root that was fetched again has the same version: only the time distinguishes it from the rotten one.
    const head = await store.head(key);
    if (head?.version !== version || head.storedAt !== storedAt) return;
    await taint(key, version);
    await store.delete([key]);
    log(`Deleted the stored ${key}, which changed at rest: ${reason}`);
    onRotten(key, reason);
  } catch (error) {
    log(`Cannot delete the stored ${key}, which changed at rest (${reason}): ${String(error)}`);
  }
}
