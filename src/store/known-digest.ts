import type { StoredObject } from "./stored-object.ts";

/** A key below the digest of its content (`contentKey`), or of a page of a digest table. */
const CONTENT_KEY = /^-\/(?:closed\/[^/]+\/)?(sha512|sha384|sha256|sha1|md5|table)\/([0-9a-f]+)$/;

/** What the bytes of a stored object must hash to. */
export interface KnownDigest {
  readonly algorithm: "sha512" | "sha384" | "sha256" | "sha1" | "md5";
  /** Lower-case hex. */
  readonly digest: string;
  /** Where it comes from, for messages: "its name". */
  readonly source: string;
}

/** The digest in the key of a stored object; null: its key is no digest. */
export function digestInKey(key: string): KnownDigest | null {
  const [, named, digest] = CONTENT_KEY.exec(key) ?? [];
  if (named === undefined || digest === undefined) return null;
  return { algorithm: named === "table" ? "sha256" : (named as KnownDigest["algorithm"]), digest, source: "its name" };
}

/**
 * The digest in the key of a stored object, else the SHA-256 that was computed while it was stored. Null: none is known, as of what was pieced together and
 * never read whole. An index that names the file was compared with that SHA-256 when the file was stored, or when the index was published.
 */
export function knownDigest(key: string, { sha256 }: Pick<StoredObject, "sha256">): KnownDigest | null {
  const named = digestInKey(key);
  if (named !== null) return named;
  return sha256 === undefined ? null : { algorithm: "sha256", digest: sha256, source: "the record of when it was stored" };
}
