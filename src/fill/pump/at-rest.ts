import { StoreError, type ObjectStore } from "../../store/object-store.ts";
import type { StoredObject } from "../../store/stored-object.ts";
import type { Fill, SliceBuffer } from "../shared/fill.ts";

/** Waits between tries of a write that the store was too busy for (R2 takes one write a second to a key). */
const BUSY_RETRY_MS = [300, 1_100, 2_500] as const;

export interface RestDependencies {
  readonly store: ObjectStore;
  readonly sleep: (ms: number) => Promise<void>;
  readonly onUnstored: (key: string, reason: string) => void;
}

/**
 * Stores one slice of a sliced object, and its head with the first; where an older version would lose its head by that, with the last one,
 * judged (`isLast`). What the store refuses is passed on unstored: the fill goes on.
 */
export async function restSlice(
  fill: Fill,
  object: StoredObject,
  buffer: SliceBuffer,
  isLast: boolean,
  deps: RestDependencies,
): Promise<void> {
  await attempt(fill, deps, async () => {
    await retried(deps, () => deps.store.putSlice(object.version, buffer.index, buffer.bytes));
    buffer.atRest = true;
    if (fill.published || (fill.replaces && !isLast)) return;
    fill.published = true;
    const put = await retried(deps, () => deps.store.put(fill.key, object, EMPTY, { ifAbsent: !fill.replaces }));
    // Another leader was quicker with its own version. Ours is whole for our readers, and its slices go with the next reconciliation.
    if (put === "exists") fill.storable = false;
  });
}

/** Stores an object that fits in one slice, judged already. */
export async function restWhole(fill: Fill, object: StoredObject, buffer: SliceBuffer, deps: RestDependencies): Promise<void> {
  await attempt(fill, deps, async () => {
    await retried(deps, () => deps.store.put(fill.key, object, buffer.bytes));
    buffer.atRest = true;
    fill.published = true;
  });
}

/** Notes in the stored head how far the whole object was proven; not worth a client's wait or a failure. */
export async function restVerdict(fill: Fill, object: StoredObject, deps: RestDependencies): Promise<void> {
  if (!fill.storable) return;
  try {
    const head = await deps.store.head(fill.key);
    if (head?.version === object.version) await retried(deps, () => deps.store.put(fill.key, object, EMPTY));
  } catch (error) {
    deps.onUnstored(fill.key, `the verdict was not noted: ${String(error)}`);
  }
}

const EMPTY = new Uint8Array(0);

async function attempt(fill: Fill, deps: RestDependencies, store: () => Promise<void>): Promise<void> {
  if (!fill.storable) return;
  try {
    await store();
  } catch (error) {
    fill.storable = false;
    deps.onUnstored(fill.key, String(error));
  }
}

async function retried<T>({ sleep }: RestDependencies, write: () => Promise<T>): Promise<T> {
  for (const wait of BUSY_RETRY_MS) {
    try {
      return await write();
    } catch (error) {
      if (!(error instanceof StoreError && error.kind === "busy")) throw error;
      await sleep(wait);
    }
  }
  return write();
}
