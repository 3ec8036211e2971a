import type { ByteRange } from "../http/byte-ranges.ts";
import type { StoredObject } from "./stored-object.ts";

/** An object, and the part of its bytes that was asked for. */
export interface StoredBody {
  readonly object: StoredObject;
  /**
   * The wanted bytes, which end with the object where `wanted` goes beyond it; null where the object is sliced, or no wanted byte lies inside it. The
   * caller must read the body to its end or cancel it.
   */
  readonly body: ReadableStream<Uint8Array> | null;
}

/** One key in a listing: an object, or a slice. */
export interface ListedObject {
  readonly key: string;
  /** The bytes of a slice; an object's are not known on a disk, where they would cost a read of each file. */
  readonly size?: number;
  /** When a slice was stored, in milliseconds since the epoch; whole seconds on a disk. An object's is not known there. */
  readonly uploadedAt?: number;
}

/** What the caller of a `get` knows. */
export interface GetOptions {
  /**
   * The object that lies under the key, as a repository's generation names it. A cache in front of the store may then give this version's bytes without a
   * read of the head; the store itself ignores it, so that the answer may be another version's.
   */
  readonly known?: StoredObject | undefined;
  /** The caller compares the bytes with their digest: they are read from the medium, and not from what memory holds of it. */
  readonly isCompared?: boolean | undefined;
}

/** Conditions of a `put`; at most one of them. */
export interface PutOptions {
  readonly ifAbsent?: boolean;
  readonly ifVersion?: string;
}

/**
 * The stored objects and slices. Every adapter passes test/contract/object-store.ts.
 *
 * - A `put` is visible only when it is complete, and later reads see the new object at once. A reader that already holds a body reads on in the object
 *   that it opened, or its body fails: it never gets a mix of two versions.
 * - The `object` that `get` returns describes the bytes of its `body`.
 * - Keys are `<mirror>/<decoded canonical path>` or begin with `-/`; any well-formed Unicode, 1 to 1,024 bytes of UTF-8. For any other key `head` and
 *   `get` return null, and `put` throws StoreError `too-large`.
 * - A failure of the medium throws `StoreError`. A key without an object is null, not an error.
 */
export interface ObjectStore {
  /** Reads what is stored beside the bytes; null where there is no object. */
  head(key: string): Promise<StoredObject | null>;
  /** As `head`, for what only reads: a cache in front of the store may answer with what lay there a minute ago, though never that nothing did. */
  peek(key: string): Promise<StoredObject | null>;
  /** Reads an object, or the part `wanted` of it; null where there is no object. For the bytes of a sliced object see `getSlice`. */
  get(key: string, wanted?: ByteRange, options?: GetOptions): Promise<StoredBody | null>;
  /**
   * Stores an object, in place of the one under the key.
   * @param bytes the whole body; empty for the head of a sliced object. Throws RangeError where its length is not that of the object's body.
   * @returns `exists`, and nothing is stored, where `ifAbsent` is set (as `If-None-Match: *`, RFC 9110 §13.1.2) and `head` finds an object; `changed`, and
   * nothing is stored, where `ifVersion` is set (as `If-Match`) and no object of this version is there: a deleted head must not come back.
   */
  put(key: string, object: StoredObject, bytes: Uint8Array, options?: PutOptions): Promise<"stored" | "exists" | "changed">;
  /** Deletes objects, or slices by their own keys; keys without one are ignored. With the head of a sliced object its slices are not deleted. */
  delete(keys: readonly string[]): Promise<void>;
  /**
   * Lists objects and slices whose key begins with `prefix`, in the order of keys, slices last; an object need not be readable. A page has at most `limit` keys (default and
   * greatest value: 1,000); its `cursor` fetches the next page, and is absent on the last one. Keys of slices begin with `-/v/`.
   */
  list(options: { readonly prefix?: string; readonly cursor?: string; readonly limit?: number }): Promise<{
    readonly objects: readonly ListedObject[];
    readonly cursor?: string;
  }>;
  /**
   * Stores slice `index` (from 0) of a version: 32 lower-case hex digits, else it throws RangeError. Slices never change: it returns `exists`, and
   * nothing is stored, where a slice of this length is there already. One of another length is damaged, and is replaced.
   */
  putSlice(version: string, index: number, bytes: Uint8Array): Promise<"stored" | "exists">;
  /**
   * Reads `length` bytes (default: to its end) of a slice from `offset` (default: 0) on; null where the slice is absent or ends before the last of
   * them. The caller must read the stream to its end or cancel it.
   */
  getSlice(version: string, index: number, offset?: number, length?: number): Promise<ReadableStream<Uint8Array> | null>;
}

/**
 * Why a store call failed. `busy` (too many writes to one key) and `unavailable` (the medium refused, or did not answer) may be tried again. `full`: no
 * space is left. `too-large`: the key, the metadata or the body exceeds a limit.
 */
export type StoreErrorKind = "busy" | "full" | "too-large" | "unavailable";

/** The failure of a store call; its message names action and key. */
export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly kind: StoreErrorKind;
  constructor(kind: StoreErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}
