/** How far the bytes of an object were proven before it was stored. */
export type Verified = "none" | "length" | "structure" | "digest";

/** What is kept beside the bytes of an object: all that an answer needs. Serialised as JSON, at most 2 KiB. */
export interface StoredObject {
  /** 32 lower-case hex digits, new for each distinct content; the entity tag we send is `"<version>"`. */
  readonly version: string;
  /** Length of the whole representation in bytes. */
  readonly size: number;
  /** Set when the bytes lie in slices of this length under the version; absent when they lie under the key itself. */
  readonly sliceBytes?: number;
  readonly contentType: string;
  /** The upstream's entity tag and date, verbatim. */
  readonly etag?: string;
  readonly lastModified?: string;
  /** URL of the upstream (as configured) that gave the bytes. */
  readonly upstream: string;
  /** Milliseconds since the epoch at which these bytes were last known to be the upstream's. */
  readonly storedAt: number;
  readonly verified: Verified;
  /** Hex SHA-256 of the content, where it was computed. */
  readonly sha256?: string;
  /** An earlier version of this key went bad: no date and no other entity tag may match (a client would resume onto bad bytes). */
  readonly tainted?: true;
  /** Set when the digest table was still being built as the object was stored: checked when the table lands. */
  readonly provisional?: true;
}
