import { isImmutable } from "../../config/config.ts";
import { deleteVersion } from "../../store/delete-version.ts";
import { keyAtRest } from "../../store/keys.ts";
import type { StoredObject } from "../../store/stored-object.ts";
import type { Fill } from "../shared/fill.ts";
import type { PumpDependencies } from "./dependencies.ts";

export type GiveUpDependencies = Pick<PumpDependencies, "store" | "leases" | "onUnstored">;

/** Bytes that went out, or were stored, turned out bad: all readers stop, and no client may resume onto them. */
export async function spoil(fill: Fill, deps: GiveUpDependencies): Promise<void> {
  fill.storable = false;
  const sent = fill.object ?? fill.growing?.object;
  if (sent !== undefined) fill.givenUp.add(sent.version);
  // Before any reader learns of it: its client may come back at once, and its date must not be believed then.
  if (sent !== undefined) await deps.leases.taint(fill.key, sent.version);
  fill.spoiled = true;
  await unpublish(fill, fill.object, deps);
}

/**
 * The version can never be completed: its head would make every reader fail at the same byte. Readers that need no more than is stored, or is being
 * fetched, go on; the next request begins anew.
 */
export async function giveUp(fill: Fill, deps: GiveUpDependencies): Promise<void> {
  fill.storable = false;
  if (fill.object !== null) fill.givenUp.add(fill.object.version);
  // A client that has a part of it must not resume with the new version by its date, which may be the same.
  if (fill.object !== null && fill.promised && isImmutable(fill.target.class)) await deps.leases.taint(fill.key, fill.object.version);
  await unpublish(fill, fill.object, deps);
}

/**
 * Slices that were fetched again for a version whose head was evicted belong to nothing, and no ledger counts them: they go when the last of the readers has
 * left. Never throws.
 */
export async function giveUpEvicted(fill: Fill, { store }: Pick<PumpDependencies, "store">): Promise<void> {
  const { object, storable, key } = fill;
  if (object?.sliceBytes === undefined || !storable) return;
  // Where the store does not answer, the head is taken to be there.
  const head = await store.head(key).catch(() => object);
  if (head?.version === object.version) return;
  fill.storable = false;
  fill.givenUp.add(object.version);
}

/** Takes the head of a version that will not be completed out of the store. */
export async function unpublish(fill: Fill, object: StoredObject | null, { store, onUnstored }: GiveUpDependencies): Promise<void> {
  if (object === null) return;
  fill.givenUp.add(object.version);
  if (!fill.published) return;
  fill.published = false;
  try {
    await deleteVersion(store, keyAtRest(fill.target, object), object.version);
  } catch (error) {
    onUnstored(fill.key, `the head of a version that was given up may be left: ${String(error)}`);
  }
}
