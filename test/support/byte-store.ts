import { resolveRange } from "../../src/http/byte-ranges.ts";
import { parseSliceKey, requireStorableKey, serialiseStoredObject, sliceKey } from "../../src/store/keys.ts";
import type { ListedObject, ObjectStore } from "../../src/store/object-store.ts";
import type { StoredObject } from "../../src/store/stored-object.ts";

/** An ObjectStore in memory, with the bytes; what it holds may be looked at and changed, as a disk's fault or an eviction would. */
export function createByteStore(now: () => number) {
  const objects = new Map<string, { object: StoredObject; bytes: Uint8Array; uploadedAt: number }>();
  const slices = new Map<string, { bytes: Uint8Array; uploadedAt: number }>();
  const store: ObjectStore = {
    head: async (key) => objects.get(key)?.object ?? null,
    peek: async (key) => objects.get(key)?.object ?? null,
    async get(key, wanted) {
      const found = objects.get(key);
      if (found === undefined) return null;
      const { object, bytes } = found;
      if (object.sliceBytes !== undefined) return { object, body: null };
      const { offset, length } = resolveRange(wanted ?? { first: 0 }, object.size);
      return length === 0 && wanted !== undefined
        ? { object, body: null }
        : { object, body: streamOf(bytes.slice(offset, offset + length)) };
    },
    async put(key, object, bytes, options = {}) {
      requireStorableKey(key);
      serialiseStoredObject(object, bytes);
      const present = objects.get(key);
      if (options.ifAbsent === true && present !== undefined) return "exists";
      if (options.ifVersion !== undefined && present?.object.version !== options.ifVersion) return "changed";
      objects.set(key, { object, bytes: bytes.slice(), uploadedAt: now() });
      return "stored";
    },
    async delete(keys) {
      for (const key of keys) (parseSliceKey(key) === null ? objects : slices).delete(key);
    },
    async list({ prefix = "", cursor = "", limit = 1000 }) {
      const all: ListedObject[] = [...objects, ...slices]
        .map(([key, { bytes, uploadedAt }]) => ({ key, size: bytes.length, uploadedAt }))
        .filter(({ key }) => key.startsWith(prefix) && key > cursor)
        .toSorted((a, b) => (a.key < b.key ? -1 : 1));
      const page = all.slice(0, limit);
      return all.length > limit ? { objects: page, cursor: page.at(-1)?.key ?? "" } : { objects: page };
    },
    async putSlice(version, index, bytes) {
      const key = sliceKey(version, index);
      if (slices.get(key)?.bytes.length === bytes.length) return "exists";
      slices.set(key, { bytes: bytes.slice(), uploadedAt: now() });
      return "stored";
    },
    async getSlice(version, index, offset = 0, length) {
      const slice = slices.get(sliceKey(version, index));
      if (slice === undefined || length === 0) return null;
      const end = length === undefined ? slice.bytes.length : offset + length;
      return end > slice.bytes.length || offset > end ? null : streamOf(slice.bytes.slice(offset, end));
    },
  };
  return { ...store, objects, slices };
}

/** A byte stream, as the platform's stores give it. */
function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    type: "bytes",
    start(controller) {
      if (bytes.length > 0) controller.enqueue(bytes);
      controller.close();
    },
  });
}
