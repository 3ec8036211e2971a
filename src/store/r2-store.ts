import { within } from "../clock/timer.ts";
import type { ByteRange } from "../http/byte-ranges.ts";
import type { SizedBody } from "./body-cache.ts";
import {
  bodySize,
  formatStoredObject,
  isStorableKey,
  parseStoredObject,
  requireStorableKey,
  serialiseStoredObject,
  sliceKey,
} from "./keys.ts";
import { type ObjectStore, type StoredBody, StoreError, type StoreErrorKind } from "./object-store.ts";
import type { StoredObject } from "./stored-object.ts";

/** The field of customMetadata that holds the StoredObject. */
const OBJECT_FIELD = "object";
/** Keys that one call of R2's `delete` takes, and that one of `list` returns. */
const MAX_KEYS_PER_CALL = 1000;
/** An operation without an answer after this time counts as failed. It is below the 30 s for which the platform runs work behind a response. */
const ANSWER_LIMIT_MS = 20_000;
const FREE_KEY_ONLY = new Headers({ "If-None-Match": "*" });

/** R2's error codes (https://developers.cloudflare.com/r2/api/error-codes/) that are more than `unavailable`. */
const KIND_BY_CODE: ReadonlyMap<number, StoreErrorKind> = new Map([
  [10012, "too-large"],
  [10020, "too-large"],
  [10058, "busy"],
  [100100, "too-large"],
]);
const INVALID_RANGE = 10039;
/** Miniflare's simulator reports this code for a range of an empty object, where R2 reports INVALID_RANGE. */
const SIMULATOR_FAULT = 0;

/** The MD5 of nothing, which is R2's entity tag of every head of a sliced object: its body is empty. */
const TAG_OF_NOTHING = "d41d8cd98f00b204e9800998ecf8427e";

/** A store in R2, which knows the length of each slice. */
export interface R2Store extends ObjectStore {
  /** Opens all of a slice; null where there is none. Throws StoreError. */
  openSlice(version: string, index: number): Promise<SizedBody | null>;
}

/** Creates a store of objects in an R2 bucket. A `get` is one R2 operation; two where the range lies outside the object. */
export function createR2Store(bucket: R2Bucket, answerLimitMs = ANSWER_LIMIT_MS): R2Store {
  function noAnswer(): never {
    throw new Error(`no answer within ${answerLimitMs} ms`);
  }

  function call<T>(action: string, key: string, operation: () => Promise<T>): Promise<T> {
    return withStoreErrors(action, key, () => within(operation(), answerLimitMs, noAnswer));
  }

  async function head(key: string): Promise<StoredObject | null> {
    if (!isStorableKey(key)) return null;
    const found = await call("head", key, () => bucket.head(key));
    return found && parseR2Object(found);
  }

  async function get(key: string, wanted?: ByteRange): Promise<StoredBody | null> {
    if (!isStorableKey(key)) return null;
    // An empty object has no range: R2 would refuse it, and a second call would have to read the head. Where the condition fails, R2 gives what it knows of
    // the object and no body.
    const found = await getRange(key, wanted && { range: toR2Range(wanted), onlyIf: { etagDoesNotMatch: TAG_OF_NOTHING } });
    if (found === "outside") {
      const object = await head(key);
      return object && { object, body: null };
    }
    const object = found && parseR2Object(found);
    if (found === null) return null;
    if (!hasBody(found)) return object && { object, body: null };
    if (object && object.sliceBytes === undefined) return { object, body: found.body };
    await found.body.cancel();
    return object && { object, body: null };
  }

  async function getRange(key: string, options: R2GetOptions = {}): Promise<R2Object | R2ObjectBody | null | "outside"> {
    try {
      const found: Promise<R2Object | R2ObjectBody | null> = bucket.get(key, options);
      return await within(found, answerLimitMs, () => {
        void found.then((late) => (late !== null && hasBody(late) ? late.body.cancel() : undefined)).catch(() => {});
        return noAnswer();
      });
    } catch (cause) {
      const code = codeOf(cause);
      if (options.range !== undefined && (code === INVALID_RANGE || code === SIMULATOR_FAULT)) return "outside";
      throw storeError("get", key, cause);
    }
  }

  async function write(key: string, bytes: Uint8Array, options: R2PutOptions): Promise<"stored" | "exists"> {
    // R2 returns null where `onlyIf` fails, although the type does not say so.
    const done: R2Object | null = await call("put", key, () => bucket.put(key, bytes, options));
    return done === null ? "exists" : "stored";
  }

  /** R2's condition that `found` is still what lies under its key. */
  function unchanged({ etag, uploaded }: R2Object): R2Conditional {
    // The entity tag is the digest of the body, which is empty for every head: only the time tells one head from another.
    return { etagMatches: etag, uploadedBefore: new Date(uploaded.getTime() + 1) };
  }

  /** Writes where nothing lies under the key, or only what `isDamaged` says is of no use to anyone: a damaged object is one that is not there. */
  async function writeIfAbsent(
    key: string,
    bytes: Uint8Array,
    options: R2PutOptions,
    isDamaged: (found: R2Object) => boolean,
  ): Promise<"stored" | "exists"> {
    const done = await write(key, bytes, { ...options, onlyIf: FREE_KEY_ONLY });
    if (done === "stored") return done;
    const found = await call("head", key, () => bucket.head(key));
    return found !== null && isDamaged(found) ? write(key, bytes, { ...options, onlyIf: unchanged(found) }) : "exists";
  }

  return {
    head,
    peek: head,
    get,

    async put(key, object, bytes, options = {}) {
      requireStorableKey(key);
      const described = {
        customMetadata: { [OBJECT_FIELD]: serialiseStoredObject(object, bytes) },
        httpMetadata: { contentType: object.contentType },
      };
      if (options.ifAbsent === true) return writeIfAbsent(key, bytes, described, (found) => parseR2Object(found) === null);
      if (options.ifVersion === undefined) return write(key, bytes, described);
      const found = await call("head", key, () => bucket.head(key));
      if (found === null || parseR2Object(found)?.version !== options.ifVersion) return "changed";
      return (await write(key, bytes, { ...described, onlyIf: unchanged(found) })) === "stored" ? "stored" : "changed";
    },

    async delete(keys) {
      const storable = keys.filter(isStorableKey);
      for (let from = 0; from < storable.length; from += MAX_KEYS_PER_CALL) {
        const some = storable.slice(from, from + MAX_KEYS_PER_CALL);
        await call("delete", some.join(", ").slice(0, 200), () => bucket.delete(some));
      }
    },

    async list(options) {
      const limit = Math.min(options.limit ?? MAX_KEYS_PER_CALL, MAX_KEYS_PER_CALL);
      const page = await call("list", options.prefix ?? "", () => bucket.list({ ...options, limit }));
      const objects = page.objects.map(({ key, size, uploaded }) => ({ key, size, uploadedAt: uploaded.getTime() }));
      return page.truncated ? { objects, cursor: page.cursor } : { objects };
    },

    async putSlice(version, index, bytes) {
      return writeIfAbsent(sliceKey(version, index), bytes, {}, ({ size }) => size !== bytes.length);
    },

    async getSlice(version, index, offset = 0, length) {
      const whole = offset === 0 && length === undefined;
      const range = { offset, ...(length !== undefined && { length }) };
      const found = await getRange(sliceKey(version, index), whole ? {} : { range });
      if (found === null || found === "outside" || !hasBody(found)) return null;
      if (found.size >= offset + (length ?? 0)) return found.body;
      await found.body.cancel();
      return null;
    },

    async openSlice(version, index) {
      const found = await getRange(sliceKey(version, index));
      return found === null || found === "outside" || !hasBody(found) ? null : { size: found.size, body: found.body };
    },
  };
}

/** Creates a `put` that streams a body of known length into R2. A body that ends early stores nothing. Throws `StoreError`. */
export function createR2StreamPut(bucket: R2Bucket) {
  return async (key: string, object: StoredObject, body: ReadableStream<Uint8Array>): Promise<void> => {
    requireStorableKey(key);
    const customMetadata = { [OBJECT_FIELD]: formatStoredObject(object) };
    await withStoreErrors("put", key, () => bucket.put(key, body, { customMetadata, httpMetadata: { contentType: object.contentType } }));
  };
}

function hasBody(found: R2Object | R2ObjectBody): found is R2ObjectBody {
  return "body" in found;
}

/** The StoredObject in R2's metadata; null where it is missing, malformed or of another size: an upload by other hands is a miss. */
function parseR2Object(found: R2Object): StoredObject | null {
  const object = parseStoredObject(found.customMetadata?.[OBJECT_FIELD] ?? "");
  return object && bodySize(object) === found.size ? object : null;
}

function toR2Range(wanted: ByteRange): R2Range {
  if ("suffix" in wanted) return wanted;
  const { first, last } = wanted;
  return last === undefined ? { offset: first } : { offset: first, length: last - first + 1 };
}

/** Runs the operation, and throws its failure as a `StoreError` that names action and key. */
async function withStoreErrors<T>(action: string, key: string, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (cause) {
    throw storeError(action, key, cause);
  }
}

function storeError(action: string, key: string, cause: unknown): StoreError {
  const kind = KIND_BY_CODE.get(codeOf(cause)) ?? "unavailable";
  return new StoreError(kind, `Cannot ${action} "${key}" in R2: ${String(cause)}`, { cause });
}

/** The error code, which R2 puts only at the end of the message, as in "get: … (10039)"; NaN where there is none. */
function codeOf(cause: unknown): number {
  return Number(/\((\d+)\)$/.exec(String(cause))?.[1] ?? NaN);
}
