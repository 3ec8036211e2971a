import { keyAtRest } from "../store/keys.ts";
import type { ObjectStore } from "../store/object-store.ts";
import { openPart } from "../store/read-object.ts";
import type { StoredObject } from "../store/stored-object.ts";
import { readableEnd, type Fill } from "./shared/fill.ts";

/** Bytes go out in copied pieces of this length: a client that stalls holds one piece in memory, not a slice. */
export const PIECE_BYTES = 128 * 1024;

/** Bytes that can go out now, from `position` on: copied from memory, or the store's own stream. */
export type Piece =
  | { readonly position: number; readonly length: number; readonly bytes: Uint8Array; readonly stream: null }
  | { readonly position: number; readonly length: number; readonly stream: ReadableStream<Uint8Array> };

/** The bytes from `position` on that are in memory and may go out; none at or past `to`. Null where the byte at `position` is not among them. */
export function pieceInMemory({ buffers, sliceBytes }: Fill, object: StoredObject, position: number, to: number): Piece | null {
  const buffer = buffers.get(Math.floor(position / sliceBytes));
  if (buffer === undefined) return null;
  const end = Math.min(to, readableEnd(object, sliceBytes, buffer), position + PIECE_BYTES);
  if (end <= position) return null;
  const bytes = buffer.bytes.slice(position - buffer.start, end - buffer.start);
  return { position, length: bytes.length, bytes, stream: null };
}

/** How many stored bytes one call of the store opens from `from` on: to the end of their slice, or to `to`. */
export function lengthAtRest({ sliceBytes }: Pick<Fill, "sliceBytes">, from: number, to: number): number {
  return Math.min(to - from, sliceBytes - (from % sliceBytes));
}

/** The stored bytes from `from` to the end of their slice, or to `to`. Null where the store does not have them, or fails. */
export async function pieceAtRest(store: ObjectStore, fill: Fill, object: StoredObject, from: number, to: number): Promise<Piece | null> {
  const length = lengthAtRest(fill, from, to);
  try {
    const stream = await openPart(store, keyAtRest(fill.target, object), object, from, length);
    return stream === null ? null : { position: from, length, stream };
  } catch {
    return null;
  }
}

/** Ends the stream of a piece that will not be sent. Never rejects: a stream that broke meanwhile has nothing to end. */
export async function letGo(piece: Piece | null): Promise<void> {
  await piece?.stream?.cancel().catch(() => {});
}
