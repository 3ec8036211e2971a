import type { StoredObject } from "../../store/stored-object.ts";
import type { UpstreamFailure } from "../../upstream/upstream.ts";
import type { LeaseEvent } from "./lease-state.ts";

/**
 * Keeps isolates from fetching the same slice of an object twice. Correctness never rests on it, but on conditional puts and one head per version.
 * As `createLeases` makes it, no call throws: where the coordinator cannot be reached, every caller leads, without a lease.
 */
export interface Leases {
  /** Asks for the right to fetch `slice` of the object under `key`. */
  claimSlice(key: string, slice: number, options: ClaimOptions): Promise<Claim>;
  /** Waits until something happens to a slice that another request leads. */
  follow(key: string, slice: number, options: FollowOptions): Promise<Followed>;
  /** Remembers, over restarts, that `version` of this key went bad. */
  taint(key: string, version: string): Promise<void>;
}

export interface ClaimOptions {
  /** The caller looked at the store before this claim and not since: the answer is `stored` if a slice was committed in the last seconds. */
  readonly recheck: boolean;
  /** The version that the caller sends to its client: the answer is `spoiled` if another isolate found that it went bad. */
  readonly version?: string | undefined;
}

/** The coordinator's answer to a claim. */
export type Claim =
  /** The caller fetches the slice. `tainted`: an earlier version of this key went bad; `isShared`: another request fetches another slice. */
  | { readonly kind: "lead"; readonly lease: SliceLease; readonly tainted: boolean; readonly isShared?: boolean }
  /** Look at the store again. */
  | { readonly kind: "stored" }
  | { readonly kind: "spoiled" }
  /** Another request fetches the slice. `object`: as that one described it, null before; `seen`: number of failures so far, for `follow`. */
  | { readonly kind: "follow"; readonly object: StoredObject | null; readonly seen: number };

/**
 * A leader's hold on its slices. It ends when it is disposed; held from another isolate also when the leader's request ends, for whatever reason.
 * On one machine the runtime may drop a request without running `finally`: its lease ends after ten seconds without progress.
 */
export interface SliceLease extends Disposable {
  /** Reports what the leader did, or claims one more slice. False only where another request holds the claimed slice. */
  tell(event: LeaseEvent): boolean | Promise<boolean>;
}

export interface FollowOptions {
  /** From the `follow` answer: a later failure ends the wait. */
  readonly seen: number;
  /** Whether the wait also ends as soon as the leader has described an object of several slices. */
  readonly wantObject: boolean;
}

/** What happened to the slice: `free` means that its leader let go of it, or made no progress for ten seconds. */
export type Followed =
  | { readonly kind: "described"; readonly object: StoredObject }
  | { readonly kind: "committed" | "free" }
  | { readonly kind: "failed"; readonly failure: UpstreamFailure };

/** The claim of a caller that goes on as if it were alone. */
export const ALONE: Claim = { kind: "lead", lease: { tell: () => true, [Symbol.dispose]() {} }, tainted: false };
