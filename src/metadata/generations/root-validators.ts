import { isUnsettled, parseHttpDate } from "../../http/http-date.ts";
import type { ObjectStore } from "../../store/object-store.ts";
import type { StoredObject } from "../../store/stored-object.ts";
import type { FetchedFile } from "./fetch-file.ts";
import type { UpstreamRequest } from "../../upstream/upstream.ts";
import type { Generation, StoredFile } from "../members/generation.ts";

/** The validators that came with a fetched root, verbatim; `receivedAt` in milliseconds since the epoch. */
export function receivedValidators({ representation }: FetchedFile, receivedAt: number): Generation["validators"] {
  const { etag, lastModified, upstream } = representation;
  return { ...(etag === undefined ? {} : { etag }), ...(lastModified === undefined ? {} : { lastModified }), receivedAt, upstream };
}

/**
 * The validators that make the next request for the held root conditional. Undefined where equal validators would not prove an equal root: it is then
 * fetched whole and compared by its digest.
 */
export function conditions({ mismatched, root: { object }, validators }: Generation): UpstreamRequest["conditional"] {
  if (mismatched === true) return undefined;
  const { receivedAt = object.storedAt, upstream = object.upstream } = validators;
  return provingConditions({ ...validators, upstream }, receivedAt, object.sliceBytes !== undefined);
}

/** The same for a companion. */
export function companionConditions({ object }: StoredFile): UpstreamRequest["conditional"] {
  return provingConditions(object, object.storedAt, object.sliceBytes !== undefined);
}

function provingConditions(
  { etag, lastModified, upstream }: Pick<StoredObject, "etag" | "lastModified" | "upstream">,
  receivedAt: number,
  isSliced: boolean,
): UpstreamRequest["conditional"] {
  // A file in slices is long: its entity tag is the only way to recognise it without fetching all of it again.
  const needsTag = isSliced && etag !== undefined;
  if (!needsTag && isUnsettled(lastModified, receivedAt)) return undefined;
  if (etag !== undefined) return { etag, upstream };
  // A date in the future (a wrong clock) would make every later file with the right date look unchanged.
  return lastModified === undefined || (parseHttpDate(lastModified) ?? Infinity) > receivedAt ? undefined : { lastModified, upstream };
}

/**
 * The new root as it is to be published: without its Last-Modified where that is the held root's. apt compares dates only, and would take the new
 * root for the one that it has. Throws StoreError.
 */
export async function withOwnDate(store: ObjectStore, { file, bytes }: FetchedFile, held: Generation | null): Promise<Generation["root"]> {
  const { lastModified, ...object } = file.object;
  if (lastModified === undefined || lastModified !== held?.validators.lastModified || bytes === null) return file;
  await store.put(file.key, object, bytes);
  return { ...file, object };
}
