import type { StoredObject } from "./stored-object.ts";

/** What the headers of an upstream's response say of a file, as far as it is kept beside the stored bytes. */
export interface Described {
  /** Media type, verbatim; undefined: the upstream sent none (RFC 9110 §8.3: the type is then unknown). */
  readonly contentType: string | undefined;
  /** ETag, verbatim. */
  readonly etag: string | undefined;
  /** Last-Modified, verbatim. */
  readonly lastModified: string | undefined;
  /** Configured URL of the upstream. */
  readonly upstream: string;
}

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
