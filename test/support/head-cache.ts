import { resolveRange } from "../../src/http/byte-ranges.ts";
import type { ObjectStore } from "../../src/store/object-store.ts";
import type { StoredObject } from "../../src/store/stored-object.ts";

/**
 * A store as one data centre reads it: heads, and the bodies that came with them, for `ttlMs` without a look at the store itself. Its own writes it sees at
 * once, those of other data centres after that time. `now` in milliseconds.
 */
export function createHeadCache(store: ObjectStore, ttlMs: number, now: () => number): ObjectStore {
  const heads = new Map<
    string,
    { readonly object: StoredObject; readonly until: number; readonly bytes: Uint8Array<ArrayBuffer> | null }
  >();
  const fresh = (key: string) => {
    const found = heads.get(key);
    return found !== undefined && now() < found.until ? found : null;
  };
  return {
    ...store,
    peek: async (key) => fresh(key)?.object ?? store.peek(key),
    async get(key, wanted) {
      const known = fresh(key);
      if (known !== null) {
        const { object, bytes } = known;
        if (object.sliceBytes !== undefined) return { object, body: null };
        const { offset, length } = resolveRange(wanted ?? { first: 0 }, object.size);
        if (bytes !== null) return { object, body: length === 0 ? null : new Blob([bytes.slice(offset, offset + length)]).stream() };
      }
      const found = await store.get(key, wanted);
      if (found === null) return null;
      const { object, body } = found;
      const isWhole = body !== null && wanted === undefined;
      const bytes = isWhole ? new Uint8Array(await new Response(body).arrayBuffer()) : null;
      if (isWhole || object.sliceBytes !== undefined) heads.set(key, { object, bytes, until: now() + ttlMs });
      return bytes === null ? found : { object, body: new Blob([bytes]).stream() };
    },
    async put(key, ...rest) {
      const done = await store.put(key, ...rest);
      heads.delete(key);
      return done;
    },
    async delete(keys) {
      await store.delete(keys);
      for (const key of keys) heads.delete(key);
    },
  };
}
