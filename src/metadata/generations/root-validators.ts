import { isUnsettled, parseHttpDate } from "../../http/http-date.ts";
import type { ObjectStore } from "../../store/object-store.ts";
import type { FetchedFile } from "./fetch-file.ts";
import type { Generation } from "../members/generation.ts";

/** What the upstream calls this version of the root, verbatim, and when it said so. */
export function validatorsOf({ representation: { etag, lastModified } }: FetchedFile, receivedAt: number): Generation["validators"] {
  return { ...(etag === undefined ? {} : { etag }), ...(lastModified === undefined ? {} : { lastModified }), receivedAt };
}

/** What to ask for the root with; undefined where validators cannot tell: then it is fetched and compared by digest. */
export function conditions(generation: Generation): { readonly etag?: string; readonly lastModified?: string } | undefined {
  if (generation.mismatched === true) return undefined;
  const { etag, lastModified, receivedAt = generation.root.object.storedAt } = generation.validators;
  // A root in slices has no digest to compare by.
  const isComparable = generation.root.object.sliceBytes === undefined || etag === undefined;
  if (isComparable && isUnsettled(lastModified, receivedAt)) return undefined;
  if (etag !== undefined) return { etag };
  // A date ahead would hide every change that is dated rightly.
  return lastModified === undefined || (parseHttpDate(lastModified) ?? Infinity) > receivedAt ? undefined : { lastModified };
}

/** apt compares dates only: a new root with the date of the old one must not look unchanged. */
export async function withOwnDate(store: ObjectStore, { file, bytes }: FetchedFile, held: Generation | null): Promise<Generation["root"]> {
  const { lastModified, ...object } = file.object;
  if (lastModified === undefined || lastModified !== held?.validators.lastModified || bytes === null) return file;
  await store.put(file.key, object, bytes);
  return { ...file, object };
}
