/**
 * How the bytes of an object were proven: `digest`, by a digest from an index or from its name; `structure`, by the file's own format; `length`, by the
 * Content-Length alone; `none`, not at all.
 */
export type Verified = "none" | "length" | "structure" | "digest";

/** What is stored beside the bytes of an object: everything that a response needs. As JSON it has at most 2 KiB. */
export interface StoredObject {
  /** 32 lower-case hex digits, another for each distinct content; the entity tag that we send is `"<version>"`. */
  readonly version: string;
  /** Bytes of the whole representation. */
  readonly size: number;
  /** Bytes of a slice, where the bytes lie in slices under the version; absent where they lie under the key itself. */
  readonly sliceBytes?: number;
  /** Media type, for Content-Type. */
  readonly contentType: string;
  /** The upstream's ETag and Last-Modified, verbatim; absent where it sent none. */
  readonly etag?: string;
  readonly lastModified?: string;
  /** Configured URL of the upstream that sent the bytes. */
  readonly upstream: string;
  /** Milliseconds since the epoch at which these bytes were last known to be the upstream's. */
  readonly storedAt: number;
  readonly verified: Verified;
  /** SHA-256 of the content in lower-case hex, where it was computed. */
  readonly sha256?: string;
  /** Set where an earlier version of this key had bad bytes: no date and no other entity tag may match, or a client would resume its bad bytes. */
  readonly tainted?: true;
  /** Set where the digest table was still being built when the object was stored: the object is checked once the table is there. */
  readonly provisional?: true;
}
