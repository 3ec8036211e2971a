import type { ByteSpan } from "../http/byte-ranges.ts";
import { sliceKey } from "./keys.ts";
import type { StoredObject } from "./stored-object.ts";

/** A body with its length in bytes. */
export interface SizedBody {
  readonly size: number;
  readonly body: ReadableStream<Uint8Array>;
}

/** Bytes that never change under their name, and how to read them where no cache has them. */
export interface NamedBytes {
  /** A path of URLs, without slash in front (`sliceName`, `bodyName`). */
  readonly name: string;
  /** How many there are, where the caller knows it. */
  readonly size?: number;
  /** Index of the slice; absent for an inline body. A cache that may be called only so often for each request leaves out slices from some index on. */
  readonly slice?: number;
  /** Reads the bytes of the span from the store; null where it does not have all of them, or has others under the key by now. Throws StoreError. */
  readonly read: (span: ByteSpan) => Promise<ReadableStream<Uint8Array> | null>;
  /** Reads all of them from the store; null as for `read`. Throws StoreError. */
  readonly readWhole: () => Promise<SizedBody | null>;
}

/** Exactly the bytes of a span. `from` says whether a cache had them, or has them now. */
export interface OpenedBytes {
  readonly from: "cache" | "store";
  readonly body: ReadableStream<Uint8Array>;
}

/**
 * A cache of bytes that never change under their name, in front of the store or of another such cache. Every adapter passes test/contract/body-cache.ts.
 * It may forget anything at any time; its own failures, late answers and wrong answers are misses, never errors. Callers read each stream to its end or
 * cancel it.
 */
export interface BodyCache {
  /** The bytes of the span where it has them at once, without any read of the store. */
  match(bytes: NamedBytes, span: ByteSpan): Promise<ReadableStream<Uint8Array> | null>;
  /** The bytes of the span, wherever they are; null where the store does not have them either. Throws StoreError. */
  open(bytes: NamedBytes, span: ByteSpan): Promise<OpenedBytes | null>;
  /** All bytes, wherever they are; null where the store does not have them either. Throws StoreError. */
  openWhole(bytes: NamedBytes): Promise<SizedBody | null>;
  /** Takes a copy of all bytes, of which the caller got the stream from the store; returns the stream for the caller. */
  keep(bytes: NamedBytes, whole: SizedBody): ReadableStream<Uint8Array>;
}

/** Parts that are shorter are not cached, unless they are a whole body: that would cost more than reading them. */
export const MIN_CACHED_BYTES = 64 * 1024;
/** Larger bodies are not cached: Cloudflare would take 512 MB, but one such body would evict everything else. */
export const MAX_CACHED_BYTES = 64 * 1024 * 1024;
/** Seconds for which a body may be cached. It never changes; the platform evicts what is not read any more. */
export const BODY_SECONDS = 30 * 24 * 60 * 60;

/** The name of a slice. */
export function sliceName(version: string, index: number): string {
  return sliceKey(version, index).replace(/^-\/v\//, "slice/");
}

/**
 * The name of an inline body. The time is part of it: a root that is fetched again has the same version, since that follows from its content, and the
 * cached copy may be rotten.
 */
export function bodyName(key: string, { version, storedAt }: Pick<StoredObject, "version" | "storedAt">): string {
  return `body/${version}/${storedAt}?key=${encodeURIComponent(key)}`;
}

/** No cache: every read is one of the store. */
export const UNCACHED: BodyCache = {
  match: async () => null,
  async open(bytes, span) {
    const body = await bytes.read(span);
    return body && { from: "store", body };
  },
  openWhole: (bytes) => bytes.readWhole(),
  keep: (_, { body }) => body,
};

/**
 * The part of an answer's body that was asked for, if the answer says that it is exactly that; else null, and the body is cancelled. A body that ends before
 * its Content-Length fails, as every body that comes by HTTP; one without is counted.
 */
export async function exactly(response: Response, { offset, length }: ByteSpan): Promise<ReadableStream<Uint8Array> | null> {
  const { status, headers, body } = response;
  const given = headers.get("content-length");
  const isPart = status === 206 && headers.get("content-range")?.startsWith(`bytes ${offset}-${offset + length - 1}/`) === true;
  const isWhole = status === 200 && offset === 0 && given !== null;
  if (isPart && given === null) return body && body.pipeThrough(new FixedLengthStream(length));
  if ((isPart || isWhole) && given === String(length)) return body;
  await body?.cancel();
  return null;
}
