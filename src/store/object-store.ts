import type { StoredObject } from "./stored-object.ts";

/** A part of an object by position, as R2 takes it: `length` absent means to the end. */
export type Wanted = { readonly offset: number; readonly length?: number } | { readonly suffix: number };

export interface StoredBody {
  readonly object: StoredObject;
  /**
   * The wanted bytes, or null where the object is sliced or the wanted range lies outside it. When `wanted` ends past the object's end,
   * the body ends with the object. A body that is not read must be cancelled by the caller.
   */
  readonly body: ReadableStream<Uint8Array> | null;
}

export interface ListedObject {
  readonly key: string;
  /** Bytes at rest under this key (0 for the head of a sliced object). */
  readonly size: number;
  readonly uploadedAt: number;
}

export interface PutOptions {
  /** Store only where the key is free (If-None-Match: *). */
  readonly ifAbsent?: boolean;
}

/**
 * Objects at rest. Every adapter passes test/contract/object-store.ts.
 *
 * - `put` is visible only when complete, replaces the object at once for later reads, and a reader that already holds a body reads on
 *   in what it opened, or sees that body fail: never a mix of two versions.
 * - Whatever `get` returns as `object` describes the bytes of the same `body`.
 * - Keys are `<mirror>/<decoded canonical path>` or begin with `-/`; any Unicode, up to 1,024 bytes of UTF-8.
 * - Failures of the medium throw `StoreError`; a key that is not there is null, never an error.
 */
export interface ObjectStore {
  head(key: string): Promise<StoredObject | null>;
  get(key: string, wanted?: Wanted): Promise<StoredBody | null>;
  /** `bytes` is the whole body, at most one slice long; empty for the head of a sliced object. */
  put(key: string, object: StoredObject, bytes: Uint8Array, options?: PutOptions): Promise<"stored" | "exists">;
  /** Keys that are not there are no error. Deletes heads and inline objects, not the slices of their version. */
  delete(keys: readonly string[]): Promise<void>;
  /** By key prefix, in a stable order, `limit` (at most 1,000) a page; `cursor` absent on the last page. Slices are listed under `-/v/`. */
  list(options: { readonly prefix?: string; readonly cursor?: string; readonly limit?: number }): Promise<{
    readonly objects: readonly ListedObject[];
    readonly cursor?: string;
  }>;
  /** Slices are immutable: put with If-None-Match: *, `exists` where another leader was quicker. */
  putSlice(version: string, index: number, bytes: Uint8Array): Promise<"stored" | "exists">;
  /** Bytes of a slice from `offset` on, `length` of them (default: to its end); null where the slice is not there or shorter than asked. */
  getSlice(version: string, index: number, offset?: number, length?: number): Promise<ReadableStream<Uint8Array> | null>;
}

/** Why a store call failed. `busy` and `unavailable` may be tried again. */
export type StoreErrorKind = "busy" | "full" | "too-large" | "unavailable";

export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly kind: StoreErrorKind;
  constructor(kind: StoreErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}
