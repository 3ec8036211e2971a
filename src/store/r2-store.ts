import {
  bodySize,
  formatStoredObject,
  isStorableKey,
  parseStoredObjectText,
  requireStorableKey,
  serialiseStoredObject,
  sliceKey,
} from "./keys.ts";
import { StoreError } from "./object-store.ts";
import type { ObjectStore, PutOptions, StoredBody, StoreErrorKind, Wanted } from "./object-store.ts";
import type { StoredObject } from "./stored-object.ts";

/** The one field of customMetadata that holds the StoredObject. */
const OBJECT_FIELD = "object";
/** What one R2 call takes, for `delete` and `list`. */
const MAX_KEYS_PER_CALL = 1000;
/** An operation that has not answered by now is taken for failed: work that outlives its client ends after 30 s, and nobody waits for ever. */
const ANSWER_LIMIT_MS = 20_000;
const FREE_KEY_ONLY = new Headers({ "If-None-Match": "*" });

// https://developers.cloudflare.com/r2/api/error-codes/
const KIND_BY_CODE: ReadonlyMap<number, StoreErrorKind> = new Map([
  [10012, "too-large"],
  [10020, "too-large"],
  [10058, "busy"],
  [100100, "too-large"],
]);
const INVALID_RANGE = 10039;
/** Miniflare's simulator answers a range of an empty object with this code where R2 says INVALID_RANGE. */
const SIMULATOR_FAULT = 0;

/** Objects in an R2 bucket. A `get` of an inline object is one R2 operation, a range that lies outside it (or of a sliced one) two. */
export function createR2Store(bucket: R2Bucket, answerLimitMs = ANSWER_LIMIT_MS): ObjectStore {
  function call<T>(action: string, key: string, operation: () => Promise<T>): Promise<T> {
    return named(action, key, () => withinLimit(operation(), answerLimitMs));
  }

  async function head(key: string): Promise<StoredObject | null> {
    if (!isStorableKey(key)) return null;
    const found = await call("head", key, () => bucket.head(key));
    return found && parseR2Object(found);
  }

  async function get(key: string, wanted?: Wanted): Promise<StoredBody | null> {
    if (!isStorableKey(key)) return null;
    const found = await getRange(key, wanted);
    if (found === "outside") {
      const object = await head(key);
      return object && { object, body: null };
    }
    const object = found && parseR2Object(found);
    if (found === null) return null;
    if (object && object.sliceBytes === undefined) return { object, body: found.body };
    await found.body.cancel();
    return object && { object, body: null };
  }

  async function getRange(key: string, range: R2Range | undefined): Promise<R2ObjectBody | null | "outside"> {
    try {
      const found = bucket.get(key, range === undefined ? {} : { range });
      return await withinLimit(found, answerLimitMs, (late) => late?.body.cancel());
    } catch (cause) {
      const code = codeOf(cause);
      if (range !== undefined && (code === INVALID_RANGE || code === SIMULATOR_FAULT)) return "outside";
      throw storeError("get", key, cause);
    }
  }

  async function write(key: string, bytes: Uint8Array, options: R2PutOptions): Promise<"stored" | "exists"> {
    // R2 answers null where `onlyIf` fails, in spite of the type without it.
    const done: R2Object | null = await call("put", key, () => bucket.put(key, bytes, options));
    return done === null ? "exists" : "stored";
  }

  return {
    head,
    get,

    async put(key: string, object: StoredObject, bytes: Uint8Array, options: PutOptions = {}) {
      requireStorableKey(key);
      return write(key, bytes, {
        customMetadata: { [OBJECT_FIELD]: serialiseStoredObject(object, bytes) },
        httpMetadata: { contentType: object.contentType },
        ...(options.ifAbsent && { onlyIf: FREE_KEY_ONLY }),
      });
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
      const objects = page.objects.map(({ key, size, uploaded }) => ({
        key,
        size,
        uploadedAt: uploaded.getTime(),
      }));
      return page.truncated ? { objects, cursor: page.cursor } : { objects };
    },

    async putSlice(version, index, bytes) {
      return write(sliceKey(version, index), bytes, { onlyIf: FREE_KEY_ONLY });
    },

    async getSlice(version, index, offset = 0, length) {
      const whole = offset === 0 && length === undefined;
      const found = await getRange(sliceKey(version, index), whole ? undefined : { offset, ...(length !== undefined && { length }) });
      if (found === null || found === "outside") return null;
      if (found.size >= offset + (length ?? 0)) return found.body;
      await found.body.cancel();
      return null;
    },
  };
}

/** Writes a body of known length as R2 reads it; one that ends early stores nothing. Throws `StoreError`. */
export function createR2StreamPut(bucket: R2Bucket) {
  return async (key: string, object: StoredObject, body: ReadableStream<Uint8Array>): Promise<"stored"> => {
    requireStorableKey(key);
    const customMetadata = { [OBJECT_FIELD]: formatStoredObject(object) };
    await named("put", key, () => bucket.put(key, body, { customMetadata, httpMetadata: { contentType: object.contentType } }));
    return "stored";
  };
}

/** Null for what we did not write, or not so: a stray upload is a miss. */
function parseR2Object(found: R2Object): StoredObject | null {
  const object = parseStoredObjectText(found.customMetadata?.[OBJECT_FIELD] ?? "");
  return object && bodySize(object) === found.size ? object : null;
}

/** The answer, if it comes in time; one that comes later is given to `onLate`. */
async function withinLimit<T>(answer: Promise<T>, limitMs: number, onLate: (answer: T) => unknown = () => {}): Promise<T> {
  let isLate = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      isLate = true;
      reject(new Error(`no answer within ${limitMs} ms`));
    }, limitMs);
  });
  // A late failure is nobody's any more.
  answer.then((value) => (isLate ? onLate(value) : undefined)).catch(() => {});
  try {
    return await Promise.race([answer, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** The operation, its failure as a `StoreError`. */
async function named<T>(action: string, key: string, operation: () => Promise<T>): Promise<T> {
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

/** R2 tells its code only at the end of the message, as in "get: … (10039)". NaN where there is none. */
function codeOf(cause: unknown): number {
  return Number(/\((\d+)\)$/.exec(String(cause))?.[1] ?? NaN);
}
