import { parseSliceKey, sliceKey } from "../../src/store/keys.ts";
import type { ListedObject, ObjectStore } from "../../src/store/object-store.ts";
import type { StoredObject } from "../../src/store/stored-object.ts";

/** An ObjectStore that keeps sizes only, and may be told to die at a write. */
export interface MemoryStore extends ObjectStore {
  /** Bytes at rest. */
  bytes(): number;
  readonly heads: Map<string, StoredObject>;
  readonly slices: Map<string, { readonly size: number; readonly uploadedAt: number }>;
  /** Called before each key is deleted; throwing is a kill. */
  beforeDelete: (key: string) => void;
}

export function createMemoryStore(now: () => number): MemoryStore {
  const heads = new Map<string, StoredObject>();
  const uploads = new Map<string, number>();
  const slices = new Map<string, { size: number; uploadedAt: number }>();
  const bodyOf = (object: StoredObject) => (object.sliceBytes === undefined ? object.size : 0);
  const store: MemoryStore = {
    heads,
    slices,
    beforeDelete: () => {},
    bytes: () =>
      [...heads.values()].reduce((sum, object) => sum + bodyOf(object), 0) + [...slices.values()].reduce((sum, { size }) => sum + size, 0),
    head: async (key) => heads.get(key) ?? null,
    peek: async (key) => heads.get(key) ?? null,
    async get(key) {
      const object = heads.get(key);
      return object === undefined ? null : { object, body: null };
    },
    async put(key, object, _bytes, options) {
      if (options?.ifAbsent === true && heads.has(key)) return "exists";
      heads.set(key, object);
      uploads.set(key, now());
      return "stored";
    },
    async delete(keys) {
      for (const key of keys) {
        store.beforeDelete(key);
        if (parseSliceKey(key) === null) heads.delete(key);
        else slices.delete(key);
      }
    },
    async list({ prefix = "", cursor = "", limit = 1000 }) {
      const all: ListedObject[] = [
        ...[...heads].map(([key, object]) => ({ key, size: bodyOf(object), uploadedAt: uploads.get(key) ?? 0 })),
        ...[...slices].map(([key, slice]) => ({ key, ...slice })),
      ];
      const listed = all.filter(({ key }) => key.startsWith(prefix) && key > cursor).toSorted((a, b) => (a.key < b.key ? -1 : 1));
      const objects = listed.slice(0, limit);
      return listed.length > limit ? { objects, cursor: objects.at(-1)?.key ?? "" } : { objects };
    },
    async putSlice(version, index, bytes) {
      const key = sliceKey(version, index);
      if (slices.get(key)?.size === bytes.length) return "exists";
      slices.set(key, { size: bytes.length, uploadedAt: now() });
      return "stored";
    },
    getSlice: async () => null,
  };
  return store;
}
