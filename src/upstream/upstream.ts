import type { Mirror, PathClass } from "../config/config.ts";
import type { Availability } from "./health.ts";

/** One request to a mirror's upstreams, whichever of them answers. */
export interface UpstreamRequest {
  readonly mirror: Mirror;
  /** Decoded canonical path below the mirror, without leading slash; that of a listing ends with `/`. */
  readonly path: string;
  /** The query that the mirror allows, with its `?`, or empty. */
  readonly query: string;
  /** Decides what a response must look like, and how long one that fails keeps the others' 404 back. */
  readonly class: PathClass;
  /** Default: GET. */
  readonly method?: "GET" | "HEAD" | undefined;
  /** Positions of the first and the last byte wanted; without `last`, to the end. Sent as Range only when `first` > 0 or `last` is set. */
  readonly range?: { readonly first: number; readonly last?: number | undefined } | undefined;
  /**
   * Validators of a stored copy, verbatim, which make the request conditional (RFC 9110 §13.1.2, §13.1.3); never together with `range`. The date is
   * sent only where there is no entity tag, and both only to `upstream` (its configured URL), which sent them: an equal tag of another server proves
   * nothing, and one that lags behind would confirm by the date that it has nothing newer.
   */
  readonly conditional?: { readonly etag?: string; readonly lastModified?: string; readonly upstream: string } | undefined;
  /** The version of which bytes are stored or delivered already. A body must be proven to be of it; where none is, the answer is `changed`. */
  readonly sameAs?: Representation | undefined;
  /**
   * Bytes of that version. Where no strong entity tag of the same upstream proves it, a body counts as the same version only if the first 128 KiB of
   * the file and the 64 KiB before the offset are equal: a re-signed rpm has the same name, size and date.
   */
  readonly known?: KnownBytes;
  /** Bytes of that version elsewhere in the file, where those at the head or before the range are not known. */
  readonly nearby?: NearbyBytes;
  /** Configured URLs of upstreams to leave out, since their last body was broken; ignored where it names all. */
  readonly avoid?: readonly string[] | undefined;
}

/** The bytes [from, to) of one version of a file, or null unless memory or the store has all of them. */
export type KnownBytes = (from: number, to: number) => Promise<Uint8Array | null>;

/** Some bytes of one version of a file, and where they lie; null: none are known. */
export type NearbyBytes = () => Promise<{ readonly from: number; readonly bytes: Uint8Array } | null>;

/** What the headers of a response say of the whole representation (RFC 9110 §8); entity tag, date and type are verbatim. */
export interface Representation {
  /** Bytes of the whole representation, whatever part of it is sent; undefined: the headers do not say. */
  readonly size: number | undefined;
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
  readonly contentType: string | undefined;
  /** Lower-case Content-Encoding, where the body is encoded although identity was asked for. */
  readonly contentEncoding: string | undefined;
  /** Configured URL of the upstream that sent it. */
  readonly upstream: string;
}

/** What a mirror's upstreams have for an `UpstreamRequest`. */
export type UpstreamAnswer =
  /** The body from byte `first` on. `first` is 0 where the upstream ignored the Range, whatever was asked. */
  | { readonly kind: "body"; readonly representation: Representation; readonly first: number; readonly source: ByteSource }
  /** To a HEAD. */
  | { readonly kind: "head"; readonly representation: Representation }
  /** To a conditional request: the stored copy is the current one of this upstream (its configured URL; RFC 9110 §15.4.5). */
  | { readonly kind: "not-modified"; readonly upstream: string }
  /** The range begins behind the end of the `size` bytes (RFC 9110 §15.5.17); undefined: the upstream did not say how many. */
  | { readonly kind: "unsatisfiable"; readonly size: number | undefined }
  | Absent
  /** The path names a folder: the upstream redirects to the same path with a slash at its end. */
  | { readonly kind: "folder" }
  /** An upstream answered, and has another version than `sameAs`; where `isUnproven` is set, nothing can show whether it has. */
  | { readonly kind: "changed"; readonly isUnproven?: true }
  | UpstreamFailure;

/**
 * Every upstream that could be asked said that it has no such file (`absence.ts` says when one that could not be asked counts).
 * 404 or 410: at least one used that word. 403: all that answered said 401 or 403, which is what object stores without the right to list say of a file
 * that is not there; of a package or a file named by its digest a 403 is a failure.
 */
export interface Absent {
  readonly kind: "absent";
  readonly status: AbsentStatus;
  /** Configured URLs of the upstreams that did not say 404 or 410 and may have it. Where any are left, no stored copy goes for this answer. */
  readonly unsure?: readonly string[];
  /** What each upstream said, for the client and the log: `http://a answered 404; http://b answered 410`. */
  readonly words?: string;
}

export type AbsentStatus = 403 | 404 | 410;

/** No upstream gave a usable response. As status for the client: 503 when all are busy, 504 when all timed out, else 502 (RFC 9110 §15.6). */
export interface UpstreamFailure {
  readonly kind: "failure";
  readonly status: 502 | 503 | 504;
  /** One sentence for the log and the client: what could not be done, which upstream did what. Never holds credentials. */
  readonly detail: string;
  /** Set with 503: when the client may ask again. */
  readonly retryAfterSeconds?: number;
  /** Set where bytes came but were wrong: the file is broken, or the upstream is half-way through a sync. */
  readonly isRefused?: true;
  /**
   * Set where an upstream refused the mirrors that the waiting requests had passed: it leads back to one of them, or a client named them. It says nothing to
   * other requests, so that none of them waits for it or goes by it.
   */
  readonly isRing?: true;
}

/**
 * The bytes of a body, in order. When the connection ends early or stalls, the source resumes at the exact offset, from the same upstream or the next
 * one, and only with bytes that are proven to be of the same version; the reader notices a pause and nothing else.
 */
export interface ByteSource {
  /**
   * The next bytes, at least one, as a view that is valid until the next `read`; null at the end of the body. Throws `SourceError` when the body
   * cannot be completed, or was cancelled. The first reads return at once with the bytes that are there; later ones return large views.
   */
  read(): Promise<Uint8Array | null>;
  /** Closes the connection. May be called at any time, also during a `read` and more than once; `reason` goes into the failure's detail. */
  cancel(reason?: string): void;
  /**
   * After the end: whether it was seen to be the end of the body. False where the body ended with the connection, as one that was cut off does too
   * (RFC 9112 §6.3). Absent: it was.
   */
  isEndProven?(): boolean;
  /**
   * What the bytes are a representation of. Not what was answered where that upstream broke off before its first byte, and another one took its place:
   * its entity tag would vouch for bytes that it never had.
   */
  version?(): Representation;
  /**
   * The body as the platform's own stream, which the caller must read or cancel: the source neither resumes it nor watches its pace any more. Null
   * once `read` was called or the body has ended. Absent where the source has no such stream.
   */
  handOver?(): ReadableStream<Uint8Array> | null;
}

/** A body broke off, and no upstream could resume it with bytes of the same version; or it was cancelled. */
export class SourceError extends Error {
  override readonly name = "SourceError";
  readonly failure: UpstreamFailure;
  constructor(failure: UpstreamFailure) {
    super(failure.detail);
    this.failure = failure;
  }
}

/** The upstreams of all mirrors, with retries, redirects and resumes behind one call. */
export interface Upstreams {
  /** Sends the request to the mirror's upstreams in turn, until one has the file or three have failed. Failures are answers; it never throws. */
  open(request: UpstreamRequest): Promise<UpstreamAnswer>;
}

/** What happened to an upstream, for log and status page. `upstream` is its configured URL, `path` as in `UpstreamRequest`. */
export type UpstreamEvent =
  /** The breaker opened for `openMs` milliseconds, or closed. */
  | { readonly kind: "breaker"; readonly upstream: string; readonly state: "open" | "closed"; readonly openMs: number }
  /** The upstream gave no usable response; `detail` continues a sentence that begins with the upstream. */
  | { readonly kind: "fault"; readonly upstream: string; readonly path: string; readonly detail: string }
  /** A body broke off after the bytes before `position` of the file. */
  | { readonly kind: "broken"; readonly upstream: string; readonly path: string; readonly position: number; readonly detail: string }
  /** This upstream continues a broken body at `position`. */
  | { readonly kind: "resumed"; readonly upstream: string; readonly path: string; readonly position: number };

/** One upstream, as the status page shows it. */
export interface UpstreamStatus {
  /** Configured URL. */
  readonly upstream: string;
  readonly state: Availability;
  /** `good`: its last answer ended whole; `failing`: it has failed, or limited this mirror, since; `unknown`: none has ended yet. */
  readonly outcome: "good" | "failing" | "unknown";
  /** Failures in a row. */
  readonly failures: number;
  /** Moving averages; undefined until measured. */
  readonly firstByteMs: number | undefined;
  readonly bytesPerSecond: number | undefined;
  /** Bodies under way in this isolate. */
  readonly bodies: number;
}
