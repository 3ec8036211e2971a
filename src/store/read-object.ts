import type { ByteRange } from "../http/byte-ranges.ts";
import { type GetOptions, type ObjectStore, StoreError } from "./object-store.ts";
import type { StoredObject } from "./stored-object.ts";

/** Bytes of an object that the store should have, and has not or not whole: what is made of them is fetched anew. */
export class LostBytesError extends Error {
  override readonly name = "LostBytesError";
}

type Reads = Pick<ObjectStore, "get" | "getSlice">;

/** What says where the bytes of an object lie: in slices under its version or, without `sliceBytes`, under its key. */
export type Placed = Pick<StoredObject, "version" | "sliceBytes">;

/**
 * Opens bytes [offset, offset + length) of one version, which must not cross from one slice into the next, as the store's own stream.
 * `options` hold for an object that lies in one piece. Null: the store does not have these bytes, or has another
 * version under the key by now. Throws StoreError.
 */
export function openPart(
  store: Reads,
  key: string,
  { version, sliceBytes }: Placed,
  offset: number,
  length: number,
  options: GetOptions = {},
): Promise<ReadableStream<Uint8Array> | null> {
  if (sliceBytes === undefined) return openUnsliced(store, key, version, { first: offset, last: offset + length - 1 }, options);
  return store.getSlice(version, Math.floor(offset / sliceBytes), offset % sliceBytes, length);
}

async function openUnsliced(
  store: Reads,
  key: string,
  version: string,
  wanted: ByteRange,
  options: GetOptions,
): Promise<ReadableStream<Uint8Array> | null> {
  const found = await store.get(key, wanted, options);
  if (found?.object.version === version) return found.body;
  await found?.body?.cancel();
  return null;
}

/** The same bytes in memory; they must not cross a slice either. Null as for `openPart`. Throws StoreError. */
export async function readPart(store: Reads, key: string, placed: Placed, offset: number, length: number): Promise<Uint8Array | null> {
  const part = await openPart(store, key, placed, offset, length);
  return part === null ? null : readStream(part);
}

/** All `size` bytes of a body that the store opened. Throws StoreError where it gives another number of them, or fails. */
export async function readWhole(body: ReadableStream<Uint8Array>, key: string, size: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await readStream(body).catch((cause: unknown) => {
    throw new StoreError("unavailable", `Cannot read "${key}": ${String(cause)}`, { cause });
  });
  if (bytes.length === size) return bytes;
  throw new StoreError("unavailable", `Cannot read "${key}": the disk gave ${bytes.length} bytes of ${size}`);
}

/**
 * All bytes of a stored object as they flow, wherever they lie. Throws LostBytesError where the object or one of its
 * slices is not in the store, or a slice has another length than it must, and StoreError.
 */
export async function* readObject(store: Reads, key: string): AsyncGenerator<Uint8Array> {
  const found = await store.get(key);
  if (found === null) throw new LostBytesError(`Cannot read ${key}: it is not in the store any more`);
  const { object, body } = found;
  if (body !== null) yield* chunksOf(body);
  if (object.sliceBytes === undefined) return;
  const { version, size, sliceBytes } = object;
  const count = Math.ceil(size / sliceBytes);
  // Each slice is opened while the one before it is read: without that, each would cost a round trip in which no bytes come.
  const open = async (index: number): Promise<ReadableStream<Uint8Array> | null> => (index < count ? store.getSlice(version, index) : null);
  let coming = open(0);
  try {
    for (let index = 0; index < count; index++) {
      const slice = await coming;
      if (slice === null) throw new LostBytesError(`Cannot read ${key}: slice ${index} is not in the store any more`);
      coming = open(index + 1);
      // If it fails while this slice is read, that is said when its turn comes.
      coming.catch(() => {});
      let left = Math.min(sliceBytes, size - index * sliceBytes);
      for await (const chunk of chunksOf(slice)) {
        left -= chunk.length;
        yield chunk;
      }
      if (left !== 0)
        throw new LostBytesError(`Cannot read ${key}: slice ${index} is damaged, ${left > 0 ? `${left} bytes short` : "and too long"}`);
    }
  } finally {
    // The consumer stopped, or a slice is damaged: the next one is not read.
    void coming.then((slice) => slice?.cancel()).catch(() => {});
  }
}

/** All bytes of a stream, in memory. */
export async function readStream(stream: ReadableStream<Uint8Array>): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function* chunksOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } finally {
    // A consumer that stops early must not leave the store's stream open.
    await reader.cancel().catch(() => {});
  }
}
