import { type ByteRange, type ByteSpan, resolveRange } from "../http/byte-ranges.ts";
import { type BodyCache, bodyName, type NamedBytes, type SizedBody, sliceName } from "./body-cache.ts";
import type { CachedHeads } from "./cached-heads.ts";
import { isStorableKey } from "./keys.ts";
import type { ObjectStore, StoredBody } from "./object-store.ts";
import type { StoredObject } from "./stored-object.ts";

/** The caches in front of the store. */
export interface EdgeCacheOptions {
  readonly heads: CachedHeads;
  readonly bodies: BodyCache;
  /** Opens all of a slice; null where there is none. Throws StoreError. */
  readonly openSlice: (version: string, index: number) => Promise<SizedBody | null>;
}

/** A store behind caches. */
export interface EdgeCacheStore extends ObjectStore {
  /** An object was stored under the key without this store. */
  noteChanged(key: string): Promise<void>;
}

/** Writes that the isolate remembers. Beyond this it forgets all. */
const MAX_WRITTEN = 10_000;

/**
 * Creates a store that reads through caches: bodies and slices by version, for as long as the caches keep them; heads for as long as they are fresh. A head
 * that is fresh no more still says which body to look for: where the store has the same head, the cached body is used. Writes, `head` and `list` go to the
 * store itself, so that what to replace or delete is decided on what is there. A read sees writes of the same data centre at once, and those of others
 * once heads that were read before are not fresh any more.
 */
export function createEdgeCacheStore(store: ObjectStore, { heads, bodies, openSlice }: EdgeCacheOptions): EdgeCacheStore {
  /**
   * What this isolate stored under a key last; null: it deleted that. A caller that knows another object knows what is over: a file whose bytes went bad
   * must not come from a cache again.
   */
  const written = new Map<string, StoredObject | null>();

  function noteWritten(key: string, object: StoredObject | null): void {
    if (written.size >= MAX_WRITTEN) written.clear();
    written.set(key, object);
  }

  function isOver(key: string, known: StoredObject): boolean {
    const last = written.get(key);
    return last !== undefined && (last === null || !isSame(last, known));
  }

  async function readHead(key: string): Promise<StoredObject | null> {
    const begun = heads.begin();
    const object = await store.head(key);
    // The store's answer corrects the cache.
    if (object === null) await heads.forget(key);
    else await heads.learn(key, object, begun);
    return object;
  }

  async function read(key: string, wanted: ByteRange | undefined): Promise<StoredBody | null> {
    const begun = heads.begin();
    const found = await store.get(key, wanted);
    if (found !== null) await heads.learn(key, found.object, begun);
    return found;
  }

  async function readThrough(key: string, wanted: ByteRange | undefined): Promise<StoredBody | null> {
    const found = await read(key, wanted);
    if (found === null) return null;
    const { object, body } = found;
    if (wanted !== undefined || body === null || object.size === 0) return found;
    return { object, body: bodies.keep(inlineBytes(key, object), { size: object.size, body }) };
  }

  function inlineBytes(key: string, object: StoredObject): NamedBytes {
    const readSame = async (wanted?: ByteRange): Promise<ReadableStream<Uint8Array> | null> => {
      const found = await read(key, wanted);
      if (found !== null && isSame(found.object, object)) return found.body;
      await found?.body?.cancel();
      return null;
    };
    return {
      name: bodyName(key, object),
      size: object.size,
      read: ({ offset, length }) => readSame(length === object.size ? undefined : { first: offset, last: offset + length - 1 }),
      async readWhole() {
        const body = await readSame();
        return body && { size: object.size, body };
      },
    };
  }

  /** The wanted part of an object of which the caller is sure; null where neither a cache nor the store has its bytes. */
  async function openSure(key: string, object: StoredObject, wanted: ByteRange | undefined): Promise<StoredBody | null> {
    const span = spanOf(object, wanted);
    if (span === null) return { object, body: null };
    // A body of no bytes is no entry of a cache.
    if (span.length === 0) return null;
    const opened = await bodies.open(inlineBytes(key, object), span);
    return opened && { object, body: opened.body };
  }

  /** The wanted part of what lies under the key, where that is still `known`, whose bytes a cache has; null: read it from the store. */
  async function revalidate(key: string, known: StoredObject, wanted: ByteRange | undefined): Promise<StoredBody | null> {
    const span = spanOf(known, wanted);
    const body = span === null || span.length === 0 ? null : await bodies.match(inlineBytes(key, known), span);
    if (body === null && span !== null) return null;
    const object = await readHead(key).catch(async (error: unknown) => {
      await body?.cancel();
      throw error;
    });
    if (object !== null && isSame(object, known)) return { object, body };
    await body?.cancel();
    return null;
  }

  return {
    ...store,
    head: readHead,
    noteChanged: (key) => heads.forget(key),

    async peek(key) {
      const recalled = isStorableKey(key) ? await heads.recall(key) : null;
      return recalled?.isFresh === true ? recalled.object : readHead(key);
    },

    async get(key, wanted, { known } = {}) {
      if (!isStorableKey(key)) return null;
      const recalled = known === undefined || isOver(key, known) ? await heads.recall(key) : { object: known, isFresh: true };
      if (recalled === null) return readThrough(key, wanted);
      const { object, isFresh } = recalled;
      const found = isFresh ? await openSure(key, object, wanted) : await revalidate(key, object, wanted);
      if (found !== null) return found;
      const stored = await readThrough(key, wanted);
      // Else a head that is fresh for a day would say all that time that something lies there.
      if (stored === null) await heads.forget(key);
      return stored;
    },

    async put(key, object, bytes, options) {
      try {
        const done = await store.put(key, object, bytes, options);
        if (done === "stored") noteWritten(key, object);
        return done;
      } finally {
        // Also where it failed: a write without an answer may have been done.
        await heads.forget(key);
      }
    },

    async delete(keys) {
      try {
        await store.delete(keys);
      } finally {
        for (const key of keys) noteWritten(key, null);
        await Promise.all(keys.map((key) => heads.forget(key)));
      }
    },

    async getSlice(version, index, offset = 0, length) {
      if (length === undefined || length === 0) return store.getSlice(version, index, offset, length);
      const bytes = {
        name: sliceName(version, index),
        slice: index,
        read: (span: ByteSpan) => store.getSlice(version, index, span.offset, span.length),
        readWhole: () => openSlice(version, index),
      };
      return (await bodies.open(bytes, { offset, length }))?.body ?? null;
    },
  };
}

function isSame(one: StoredObject, other: StoredObject): boolean {
  return one.version === other.version && one.storedAt === other.storedAt && one.sliceBytes === other.sliceBytes;
}

/** The bytes to read; null where none are: the object is sliced, or no wanted byte lies inside it. */
function spanOf({ size, sliceBytes }: StoredObject, wanted: ByteRange | undefined): ByteSpan | null {
  if (sliceBytes !== undefined) return null;
  const span = resolveRange(wanted ?? { first: 0 }, size);
  return span.length === 0 && wanted !== undefined ? null : span;
}
