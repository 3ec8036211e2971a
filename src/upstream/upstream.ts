import type { Mirror, PathClass } from "../config/config.ts";

/** What to ask of a mirror's upstreams. */
export interface UpstreamRequest {
  readonly mirror: Mirror;
  /** Decoded canonical path below the mirror, without leading slash; for a listing it ends with `/`. */
  readonly path: string;
  /** Allowed query with `?`, or empty. */
  readonly query: string;
  readonly class: PathClass;
  readonly method?: "GET" | "HEAD";
  /** First and last byte wanted; `last` absent: to the end. Sent as Range only when `first` > 0 or `last` is set. */
  readonly range?: { readonly first: number; readonly last?: number };
  /** Validators of a stored copy to make the request conditional (never with `range`). */
  readonly conditional?: { readonly etag?: string; readonly lastModified?: string };
  /** What later slices of the same version must agree with: another answer is a `changed`. */
  readonly sameAs?: Representation;
  /** Known bytes of the same version for the proof by equal bytes (DESIGN: first 128 KiB and the 64 KiB before the offset). */
  readonly known?: KnownBytes;
  /** Upstream (by configured url) to leave out on this try: it just gave a broken body. */
  readonly avoid?: readonly string[];
  /** Aborts everything, also the body. */
  readonly signal?: AbortSignal;
}

export interface KnownBytes {
  /** Bytes [from, to) if they are at hand (memory or store), else null. */
  read(from: number, to: number): Promise<Uint8Array | null>;
}

/** What an upstream says of the whole representation. */
export interface Representation {
  /** Length of the whole representation; undefined when the upstream did not say. */
  readonly size: number | undefined;
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
  readonly contentType: string | undefined;
  /** Set when the body is encoded though identity was asked for. */
  readonly contentEncoding: string | undefined;
  /** Configured url of the upstream that answered. */
  readonly upstream: string;
}

/** The answer to an UpstreamRequest; never thrown, always one of these. */
export type UpstreamAnswer =
  /** Body from `first` on. `first` may be 0 although a range was asked: the upstream ignored Range. */
  | { readonly kind: "body"; readonly representation: Representation; readonly first: number; readonly source: ByteSource }
  /** The answer to HEAD. */
  | { readonly kind: "head"; readonly representation: Representation }
  | { readonly kind: "not-modified"; readonly upstream: string }
  /** Range beyond the end. */
  | { readonly kind: "unsatisfiable"; readonly size: number | undefined }
  | { readonly kind: "absent"; readonly status: 404 | 410 }
  /** The representation differs from `sameAs` on every upstream that answered. */
  | { readonly kind: "changed" }
  | UpstreamFailure;

/** Nothing usable from any upstream, as an answer to the client: 502, 504, or 503 with Retry-After. */
export interface UpstreamFailure {
  readonly kind: "failure";
  readonly status: 502 | 503 | 504;
  /** One sentence for the log and the client: which upstream, what happened. No credentials. */
  readonly detail: string;
  readonly retryAfterSeconds?: number;
  /** Bytes came, but not the right ones: a mirror half-way through a sync, or a broken file. */
  readonly isRefused?: true;
}

/**
 * The body of an answer, in order, resumed behind the scenes: when a connection ends early, stalls or falls below the floor, the source goes
 * on at the exact offset (same upstream or the next) and the reader notices nothing but a pause.
 */
export interface ByteSource {
  /**
   * Next bytes, at least one, as a view that the caller may use until the next `read`. Null at the end of the body. Throws `SourceError` when
   * the body cannot be completed. Reads are large (BYOB) once the body flows, and return at once what is there at the beginning.
   */
  read(): Promise<Uint8Array | null>;
  /** Lets the connection go; safe to call at any time, also twice. */
  cancel(reason?: string): void;
  /**
   * The body as the platform's own stream, for the caller to end; nobody resumes it or watches its pace. Null where it was begun or has ended; only
   * there where the platform has such streams.
   */
  handOver?(): ReadableStream<Uint8Array> | null;
}

/** The body ended early, stalled for good, or no upstream could resume it with the same bytes. */
export class SourceError extends Error {
  override readonly name = "SourceError";
  readonly failure: UpstreamFailure;
  constructor(failure: UpstreamFailure) {
    super(failure.detail);
    this.failure = failure;
  }
}

export interface Upstreams {
  open(request: UpstreamRequest): Promise<UpstreamAnswer>;
}
