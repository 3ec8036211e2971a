import * as v from "valibot";
import type { Mirror } from "../config/config.ts";
import { StoreError } from "./object-store.ts";
import { STORED_OBJECT, type StoredObject } from "./stored-object.ts";

/** R2's limit for a key, in bytes of UTF-8. */
const MAX_STORED_KEY_BYTES = 1024;
/** Longest text of a StoredObject; R2 takes 8,192 bytes of metadata in all. */
const MAX_STORED_OBJECT_BYTES = 2048;

/** All keys of slices begin with this, and no others. */
export const SLICE_PREFIX = "-/v/";
const SLICE_KEY = /^-\/v\/([0-9a-f]{32})\/(0|[1-9]\d{0,8})$/;

const STORED_OBJECT_TEXT = v.pipe(v.string(), v.parseJson(), STORED_OBJECT);

/** A new version: 32 random lower-case hex digits. */
export function newVersion(): string {
  return crypto.randomUUID().replaceAll("-", "");
}

/** Key of slice `index` (from 0) of `version` (32 lower-case hex digits). Throws RangeError where either is malformed, which is a bug. */
export function sliceKey(version: string, index: number): string {
  const key = `${SLICE_PREFIX}${version}/${index}`;
  if (!SLICE_KEY.test(key)) {
    throw new RangeError(`Cannot name slice ${index} of version "${version}": wanted a whole number from 0 and 32 lower-case hex digits`);
  }
  return key;
}

/** The version and the index of a slice's key; null for any other key. */
export function parseSliceKey(key: string): { readonly version: string; readonly index: number } | null {
  const [, version, index] = SLICE_KEY.exec(key) ?? [];
  return version === undefined ? null : { version, index: Number(index) };
}

/** Two different files of one such digest cannot be made: what one of these digests proves is shared between mirrors. */
const SHARED_KEY = /^-\/(sha256|sha384|sha512)\/([0-9a-f]{64,128})$/;

/**
 * The key of bytes that are proven to have a digest (lower-case hex), whichever repository named them. A mirror with restricted access has keys of its own:
 * otherwise a client that knows a digest of its metadata could read it through an open mirror. So has every mirror for MD5 and SHA-1, of which an owner can
 * make two files. No key begins with the mirror's name, or it could be that of a path.
 */
export function contentKey(
  { name, access }: Pick<Mirror, "name" | "access">,
  { algorithm, digest }: { readonly algorithm: string; readonly digest: string },
): string {
  const shared = `-/${algorithm}/${digest}`;
  return access === undefined && SHARED_KEY.test(shared) ? shared : ownContentKey({ name }, { algorithm, digest });
}

/** The key of bytes with this digest that no other mirror reads: they are not proven, or what lies beside them is this mirror's. */
export function ownContentKey(
  { name }: Pick<Mirror, "name">,
  { algorithm, digest }: { readonly algorithm: string; readonly digest: string },
): string {
  return `-/closed/${name}/${algorithm}/${digest}`;
}

/** Where one file of a mirror lies. */
export interface Keys {
  /** The mirror's own: bytes lie there that only this mirror's upstreams vouch for. */
  readonly key: string;
  /** Where it lies once its bytes are proven to be those of its digest, for all mirrors. Absent: they stay under `key`. */
  readonly sharedKey?: string;
}

/** The keys of what lies under `key` once it is proven: with one of the mirror's own where that is shared with others. */
export function keysOf(mirror: Pick<Mirror, "name">, key: string): Keys {
  const [, algorithm, digest] = SHARED_KEY.exec(key) ?? [];
  return algorithm === undefined || digest === undefined ? { key } : { key: ownContentKey(mirror, { algorithm, digest }), sharedKey: key };
}

/** The key under which an object of the file lies, by what is proven of it. */
export function keyAtRest({ key, sharedKey }: Keys, object: Pick<StoredObject, "verified" | "sha256">): string {
  return sharedKey !== undefined && isProvenFor(sharedKey, object) ? sharedKey : key;
}

/** Whether an object of the file may lie under its shared key: its bytes were compared with the digest in that, or it was made of them. */
export function isProvenFor(sharedKey: string, { verified, sha256 }: Partial<Pick<StoredObject, "verified" | "sha256">>): boolean {
  return verified === "digest" || (sha256 !== undefined && sharedKey === `-/sha256/${sha256}`);
}

/** Whether every store can hold this key. A lone surrogate has no UTF-8: it would become U+FFFD, and so another key. */
export function isStorableKey(key: string): boolean {
  return key !== "" && key.length <= MAX_STORED_KEY_BYTES && key.isWellFormed() && isShortInUtf8(key);
}

/** A UTF-16 unit takes three bytes of UTF-8 at most: short keys need not be encoded. */
function isShortInUtf8(key: string): boolean {
  return key.length * 3 <= MAX_STORED_KEY_BYTES || new TextEncoder().encode(key).length <= MAX_STORED_KEY_BYTES;
}

/** Throws StoreError `too-large` for a key that not every store can hold. */
export function requireStorableKey(key: string): void {
  if (isStorableKey(key)) return;
  throw new StoreError("too-large", `Cannot store under key "${key.slice(0, 80)}": wanted 1 to ${MAX_STORED_KEY_BYTES} bytes of UTF-8`);
}

/** Reads the JSON text; null where it is not JSON, or a property is missing or malformed. */
export function parseStoredObject(text: string): StoredObject | null {
  const parsed = v.safeParse(STORED_OBJECT_TEXT, text);
  return parsed.success ? parsed.output : null;
}

/**
 * The object as JSON in ASCII, since R2 carries metadata in headers.
 * @param bytes the body to be stored with it. Throws RangeError where its length is not that of the object's body: a bug. Throws StoreError `too-large`
 * where the text would be longer than 2 KiB.
 */
export function serialiseStoredObject(object: StoredObject, bytes: Uint8Array): string {
  const wanted = bodySize(object);
  if (bytes.length !== wanted) throw new RangeError(`Cannot store ${bytes.length} bytes for ${object.upstream}: wanted ${wanted}`);
  return formatStoredObject(object);
}

/** As `serialiseStoredObject`, for a body of which only the length is known. Throws StoreError `too-large`. */
export function formatStoredObject(object: StoredObject): string {
  const text = toAscii(JSON.stringify(object));
  if (text.length <= MAX_STORED_OBJECT_BYTES) return text;
  throw new StoreError(
    "too-large",
    `Cannot store the ${text.length} bytes of metadata of ${object.upstream.slice(0, 80)}: wanted at most ${MAX_STORED_OBJECT_BYTES}`,
  );
}

/** Bytes of the body under the object's own key: 0 for a sliced object. */
export function bodySize(object: StoredObject): number {
  return object.sliceBytes === undefined ? object.size : 0;
}

function toAscii(json: string): string {
  return json.replace(/[\u007F-\uFFFF]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
