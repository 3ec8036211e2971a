import * as v from "valibot";

const BYTES = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/** @see StoredObject */
export const STORED_OBJECT = v.object({
  /** 32 lower-case hex digits, another for each distinct content; the entity tag that we send is `"<version>"`. */
  version: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/)),
  /** Bytes of the whole representation. */
  size: BYTES,
  /** Bytes of a slice, where the bytes lie in slices under the version; absent where they lie under the key itself. */
  sliceBytes: v.exactOptional(v.pipe(BYTES, v.minValue(1))),
  /** Media type, for Content-Type. */
  contentType: v.string(),
  /** The upstream's ETag and Last-Modified, verbatim; absent where it sent none. */
  etag: v.exactOptional(v.string()),
  lastModified: v.exactOptional(v.string()),
  /** Configured URL of the upstream that sent the bytes. */
  upstream: v.string(),
  /** Milliseconds since the epoch at which these bytes were last known to be the upstream's. */
  storedAt: v.number(),
  /** How the bytes were proven: by a digest from an index or a name, by the file's own format, by the body's length or framing alone, or not at all. */
  verified: v.picklist(["none", "length", "structure", "digest"]),
  /** SHA-256 of the content in lower-case hex, where it was computed. */
  sha256: v.exactOptional(v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))),
  /**
   * Where an index names the file by another digest than its SHA-256: that one, as `sha512:<hex>` (algorithms: verify/expectation.ts), for comparison with
   * the next index.
   */
  digest: v.exactOptional(v.pipe(v.string(), v.maxLength(160))),
  /** Set where an earlier version of this key had bad bytes: no date and no other entity tag may match, or a client would resume its bad bytes. */
  tainted: v.exactOptional(v.literal(true)),
  /** Set where an index names the file by a digest that was not computed when it was stored: its next use has it fetched anew. */
  provisional: v.exactOptional(v.literal(true)),
});

/** What is stored beside the bytes of an object: everything that a response needs. As JSON it has at most 2 KiB. */
export type StoredObject = Readonly<v.InferOutput<typeof STORED_OBJECT>>;

export type Verified = StoredObject["verified"];

/**
 * Whether no length and no end of its body showed that these are all bytes: a small file that may change, kept for the case that no upstream answers. (Of
 * an object in slices `none` says only that it was pieced together, and each piece has its length.)
 */
export function isUnproven({ verified, sliceBytes }: Partial<Pick<StoredObject, "verified" | "sliceBytes">>): boolean {
  return verified === "none" && sliceBytes === undefined;
}

/** What an upstream's headers say of a file; undefined: it sent none (without Content-Type the type is unknown, RFC 9110 §8.3). */
type Described = Pick<StoredObject, "upstream"> & { readonly [Field in "contentType" | "etag" | "lastModified"]: string | undefined };

/** The stored object of a file that an upstream described; `facts` are what we know of it ourselves. */
export function describeObject(described: Described, facts: Omit<StoredObject, keyof Described>): StoredObject {
  const { contentType, etag, lastModified, upstream } = described;
  return {
    ...facts,
    contentType: contentType ?? "application/octet-stream",
    ...(etag === undefined ? {} : { etag }),
    ...(lastModified === undefined ? {} : { lastModified }),
    upstream,
  };
}
