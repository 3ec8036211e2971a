import type { Mirror, PathClass } from "../../config/config.ts";
import type { StoredObject } from "../../store/stored-object.ts";
import type { UpstreamFailure } from "../../upstream/upstream.ts";
import type { Expectation } from "../../verify/expectation.ts";

/** A file whose digest is known, to be in the store before anything names it. */
export interface EnsureStoredRequest {
  readonly mirror: Mirror;
  /** Decoded canonical paths below the mirror that may hold the file, best first; each is tried before the file counts as absent. */
  readonly candidates: readonly string[];
  /** Where the file is stored: content-addressed, `-/<algorithm>/<hex>`. */
  readonly key: string;
  readonly expectation: Expectation;
  readonly class: PathClass;
}

export type EnsureStoredAnswer =
  | { readonly kind: "stored"; readonly object: StoredObject }
  | { readonly kind: "absent" }
  /** Every upstream that has the file has other bytes: it is half-way through a sync. */
  | { readonly kind: "mismatch" }
  | UpstreamFailure;

/** Stores the file under its key unless it lies there already, verified by its digest; many calls for one key are one fetch. */
export type EnsureStored = (request: EnsureStoredRequest) => Promise<EnsureStoredAnswer>;
