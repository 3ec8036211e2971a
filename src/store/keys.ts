import * as v from "valibot";
import type { Mirror } from "../config/config.ts";
import { StoreError } from "./object-store.ts";
import type { StoredObject } from "./stored-object.ts";

/** R2's limit for a key, in bytes of UTF-8. */
const MAX_KEY_BYTES = 1024;
/** Promised by StoredObject; R2 itself takes 8,192 bytes of metadata. */
const MAX_STORED_OBJECT_BYTES = 2048;

/** Keys of slices begin so, and no other keys do. */
export const SLICE_PREFIX = "-/v/";
const SLICE_KEY = /^-\/v\/([0-9a-f]{32})\/(0|[1-9]\d{0,8})$/;
const VERSION = /^[0-9a-f]{32}$/;
const SHA256_HEX = /^[0-9a-f]{64}$/;

const LENGTH = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const STORED_OBJECT = v.object({
  version: v.pipe(v.string(), v.regex(VERSION)),
  size: LENGTH,
  sliceBytes: v.exactOptional(v.pipe(LENGTH, v.minValue(1))),
  contentType: v.string(),
  etag: v.exactOptional(v.string()),
  lastModified: v.exactOptional(v.string()),
  upstream: v.string(),
  storedAt: v.number(),
  verified: v.picklist(["none", "length", "structure", "digest"]),
  sha256: v.exactOptional(v.pipe(v.string(), v.regex(SHA256_HEX))),
  tainted: v.exactOptional(v.literal(true)),
  provisional: v.exactOptional(v.literal(true)),
});

/** A version for new content: 32 random hex digits. */
export function newVersion(): string {
  return crypto.randomUUID().replaceAll("-", "");
}

/** Key of slice `index` (from 0) of `version`. Throws RangeError for what is no version or no index: only a bug asks for one. */
export function sliceKey(version: string, index: number): string {
  const key = `${SLICE_PREFIX}${version}/${index}`;
  if (!SLICE_KEY.test(key)) {
    throw new RangeError(`Cannot name slice ${index} of version "${version}": wanted a whole number from 0 and 32 lower-case hex digits`);
  }
  return key;
}

/** Version and index of a slice's key; null for any other key. */
export function parseSliceKey(key: string): { readonly version: string; readonly index: number } | null {
  const [, version, index] = SLICE_KEY.exec(key) ?? [];
  return version === undefined ? null : { version, index: Number(index) };
}

/**
 * The key under which bytes of this digest (lower-case hex) lie, whatever repository named them. A mirror that does not let everyone in has a space of its
 * own: who knows a digest of its metadata could read it through an open mirror. Not below the mirror's name, where an upstream's paths lie.
 */
export function contentKey(
  { name, access }: Pick<Mirror, "name" | "access">,
  { algorithm, digest }: { readonly algorithm: string; readonly digest: string },
): string {
  return `${access === undefined ? "-" : `-/closed/${name}`}/${algorithm}/${digest}`;
}

/** Whether every store can hold this key. A lone surrogate has no UTF-8: it would become U+FFFD and meet other keys. */
export function isStorableKey(key: string): boolean {
  return key !== "" && key.length <= MAX_KEY_BYTES && key.isWellFormed() && new TextEncoder().encode(key).length <= MAX_KEY_BYTES;
}

/** Throws StoreError `too-large` for a key that no store can hold. */
export function requireStorableKey(key: string): void {
  if (isStorableKey(key)) return;
  throw new StoreError("too-large", `Cannot store under key "${key.slice(0, 80)}": wanted 1 to ${MAX_KEY_BYTES} bytes of UTF-8`);
}

/** The object of a parsed JSON value; null where anything is missing or malformed. */
export function parseStoredObject(value: unknown): StoredObject | null {
  const parsed = v.safeParse(STORED_OBJECT, value);
  return parsed.success ? parsed.output : null;
}

/** As `parseStoredObject`, from JSON text; null also for what is no JSON. */
export function parseStoredObjectText(text: string): StoredObject | null {
  return parseStoredObject(parseJson(text));
}

/** The value of JSON text, undefined where it is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * The object as JSON in ASCII: R2 metadata travels in headers. Throws StoreError `too-large` beyond 2 KiB, and RangeError where
 * `bytes` cannot be the body of the object.
 */
export function serialiseStoredObject(object: StoredObject, bytes: Uint8Array): string {
  const wanted = bodySize(object);
  if (bytes.length !== wanted) throw new RangeError(`Cannot store ${bytes.length} bytes for ${object.upstream}: wanted ${wanted}`);
  return formatStoredObject(object);
}

/** The object as such JSON, whatever lies beside it. */
export function formatStoredObject(object: StoredObject): string {
  const text = toAscii(JSON.stringify(object));
  if (text.length <= MAX_STORED_OBJECT_BYTES) return text;
  throw new StoreError(
    "too-large",
    `Cannot store the ${text.length} bytes of metadata of ${object.upstream.slice(0, 80)}: wanted at most ${MAX_STORED_OBJECT_BYTES}`,
  );
}

/** Bytes that lie under the object's own key. */
export function bodySize(object: StoredObject): number {
  return object.sliceBytes === undefined ? object.size : 0;
}

function toAscii(json: string): string {
  return json.replace(/[\u007F-\uFFFF]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
