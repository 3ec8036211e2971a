import type { Mirror } from "../../config/config.ts";
import type { StoredObject } from "../../store/stored-object.ts";
import type { UpstreamFailure } from "../../upstream/upstream.ts";
import type { Expectation } from "../../verify/expectation.ts";

/** A file whose digest is known, and which must be in the store before a generation that names it is published. */
export interface EnsureStoredRequest {
  readonly mirror: Mirror;
  /** Decoded canonical paths below the mirror at which an upstream may have the file, best first; it is absent only if all are. */
  readonly candidates: readonly string[];
  /** The key to store the file under, made of its digest (`contentKey` in store/keys.ts). */
  readonly key: string;
  /** The digest, and the size in bytes where the root says it. */
  readonly expectation: Expectation;
  /** It is fetched before a client asks for it: no file of another mirror is evicted for it, and it stays away where that leaves no room. */
  readonly isAhead?: boolean;
}

/** Whether the file is in the store. */
export type EnsureStoredAnswer =
  /** It is, verified by its digest. `isFetched`: it came from an upstream for this call. */
  | { readonly kind: "stored"; readonly object: StoredObject; readonly isFetched?: true }
  /** No upstream has any of the candidates. */
  | { readonly kind: "absent" }
  /** Every upstream that has a candidate has other bytes than named: it is half-way through a sync. */
  | { readonly kind: "mismatch" }
  /** It was to be fetched ahead, and there is no room for it: a client's own request fetches it. */
  | { readonly kind: "no-room" }
  /** An upstream has it as named, and the store did not take it: it is full, or has no room for it in the budget. `reason`: a sentence for the log. */
  | { readonly kind: "unkept"; readonly reason: string }
  /** No upstream gave a usable answer. */
  | UpstreamFailure;

/** Stores the file under its key unless it lies there already. Calls for one key at one time share one fetch. */
export type EnsureStored = (request: EnsureStoredRequest) => Promise<EnsureStoredAnswer>;
