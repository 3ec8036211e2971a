import type { ObjectStore } from "../store/object-store.ts";
import type { FetchedFile } from "./fetch-file.ts";
import type { Generation } from "./generation.ts";

/** What the upstream calls this version of the root, verbatim. */
export function validatorsOf({ representation: { etag, lastModified } }: FetchedFile): Generation["validators"] {
  return { ...(etag === undefined ? {} : { etag }), ...(lastModified === undefined ? {} : { lastModified }) };
}

/** A date alone tells nothing of changes within its second (RFC 9110 §8.8.2.2): then the root is fetched and compared by digest. */
export function conditions(generation: Generation): Generation["validators"] | undefined {
  if (generation.mismatched === true) return undefined;
  const { etag, lastModified } = generation.validators;
  if (etag !== undefined) return { etag };
  const isStrong = lastModified !== undefined && generation.root.object.storedAt - Date.parse(lastModified) >= 60_000;
  return isStrong ? { lastModified } : undefined;
}

/** apt compares dates only: a new root with the date of the old one must not look unchanged. */
export async function withOwnDate(store: ObjectStore, { file, bytes }: FetchedFile, held: Generation | null): Promise<Generation["root"]> {
  const { lastModified, ...object } = file.object;
  if (lastModified === undefined || lastModified !== held?.validators.lastModified || bytes === null) return file;
  await store.put(file.key, object, bytes);
  return { ...file, object };
}
