import { SLICE_PREFIX } from "./keys.ts";
import type { ListedObject, ObjectStore } from "./object-store.ts";

/** Deletes the object under the key if it is still this version. Throws StoreError. */
export async function deleteVersion(store: Pick<ObjectStore, "head" | "delete">, key: string, version: string): Promise<void> {
  const head = await store.head(key);
  if (head?.version === version) await store.delete([key]);
}

/** Deletes all slices of a version whose head is gone. Throws StoreError. */
export async function deleteSlices(store: Pick<ObjectStore, "list" | "delete">, version: string): Promise<void> {
  const slices = await listSlices(store, version);
  if (slices.length > 0) await store.delete(slices.map(({ key }) => key));
}

/** The slices of a version that are stored, in no order of their numbers. Throws StoreError. */
export async function listSlices(store: Pick<ObjectStore, "list">, version: string): Promise<readonly ListedObject[]> {
  const slices: ListedObject[] = [];
  for (let cursor: string | undefined = ""; cursor !== undefined;) {
    const page: Awaited<ReturnType<ObjectStore["list"]>> = await store.list({
      prefix: `${SLICE_PREFIX}${version}/`,
      ...(cursor === "" ? {} : { cursor }),
    });
    slices.push(...page.objects);
    ({ cursor } = page);
  }
  return slices;
}
