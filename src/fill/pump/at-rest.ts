import { deleteVersion } from "../../store/delete-version.ts";
import { keyAtRest } from "../../store/keys.ts";
import { StoreError } from "../../store/object-store.ts";
import { putVerdict } from "../../store/put-verdict.ts";
import type { StoredObject } from "../../store/stored-object.ts";
import { lastSlice, UNKNOWN_SIZE, type Fill, type SliceBuffer } from "../shared/fill.ts";
import type { PumpDependencies } from "./dependencies.ts";

export type RestDependencies = Pick<PumpDependencies, "store" | "sleep" | "onUnstored">;

/** Waits, in milliseconds, between tries of a write that the store was too busy for (R2 takes one write a second to a key). */
const BUSY_RETRY_MS = [300, 1_100, 2_500] as const;
const EMPTY = new Uint8Array(0);

/**
 * Stores one slice. The head of a sliced object is stored with the first slice; if it replaces an older head, with the last slice, after the verdict. An
 * object that fits in one slice is stored whole, judged. Where the store refuses, the fill goes on unstored.
 */
export async function restSlice(fill: Fill, object: StoredObject, buffer: SliceBuffer, deps: RestDependencies): Promise<void> {
  if (!fill.storable) return;
  const { replaces } = fill;
  const { store } = deps;
  const key = keyAtRest(fill.target, object);
  const { version, size, sliceBytes } = object;
  try {
    if (sliceBytes === undefined) {
      await retried(deps, () => store.put(key, object, buffer.bytes));
      buffer.atRest = fill.published = true;
      return;
    }
    await retried(deps, () => store.putSlice(version, buffer.index, buffer.bytes));
    buffer.atRest = true;
    if (fill.published || size === UNKNOWN_SIZE || fill.givenUp.has(version) || (replaces && buffer.index < lastSlice(size, sliceBytes)))
      return;
    fill.published = true;
    const put = await retried(deps, () => store.put(key, object, EMPTY, { ifAbsent: !replaces }));
    // Given up during the write, whose head came after the deletion: every reader of it would fail at the same byte.
    if (fill.givenUp.has(version)) await deleteVersion(store, key, version);
    // Another leader stored its own version first. Ours is whole for our readers, and the next reconciliation deletes its slices.
    else if (put === "exists") fill.storable = false;
  } catch (error) {
    fill.storable = false;
    deps.onUnstored(key, String(error));
  }
}

/**
 * Notes how far the object was proven. A failure is only logged: the bytes are good, and can be judged again. Where the head was evicted while slices were
 * still coming, these belong to nothing: they go when the last of the readers has left.
 */
export async function restVerdict(fill: Fill, object: StoredObject, deps: RestDependencies): Promise<void> {
  if (!fill.storable) return;
  try {
    if (await retried(deps, () => putVerdict(deps.store, fill.target, object, object.size))) return;
    fill.storable = false;
    fill.givenUp.add(object.version);
  } catch (error) {
    deps.onUnstored(fill.key, `the verdict was not noted: ${String(error)}`);
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
