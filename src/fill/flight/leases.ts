import type { StoredObject } from "../../store/stored-object.ts";
import type { UpstreamFailure } from "../../upstream/upstream.ts";

/**
 * The single flight of one object across all isolates. Correctness never rests on it (conditional puts and one head per version do); it only
 * keeps a second stream from being opened beside one that makes progress.
 */
export interface Leases {
  /**
   * Asks for the right to fetch `slice`. `recheck`: the caller has looked at the store only before this claim; it is told `stored` when
   * something was committed in the last seconds. `version`: what the caller has begun to send; it is told `spoiled` when that went bad elsewhere.
   * Never throws: where the coordinator cannot be reached, everyone leads.
   */
  claim(key: string, slice: number, options: { readonly recheck: boolean; readonly version?: string }): Promise<Claim>;
  /** Remembers that `version` of this key went bad. */
  taint(key: string, version: string): Promise<void>;
}

export type Claim =
  | { readonly kind: "lead"; readonly lease: SliceLease; readonly tainted: boolean }
  | { readonly kind: "stored" }
  | { readonly kind: "spoiled" }
  | { readonly kind: "follow"; readonly object: StoredObject | null; readonly follower: Follower };

/** The leader's side. All calls are best effort and never throw; `end` must be called, or the caller's request must end. */
export interface SliceLease {
  describe(object: StoredObject): void;
  progress(bytes: number): void;
  /** Takes one slice more: false where another holds it. */
  take(slice: number): Promise<boolean>;
  /** Tells the others that the slice can be read from the store. */
  commit(slice: number): void;
  fail(failure: UpstreamFailure): Promise<void>;
  end(): void;
}

export interface Follower {
  /**
   * Waits for what happens to the slice: stored by its leader, free to take (released, or no progress for 10 s), or failed for everybody.
   * With `object: true` it also returns as soon as the leader has described an object of several slices.
   */
  wait(want: { readonly object: boolean }): Promise<Followed>;
}

export type Followed =
  | { readonly kind: "described"; readonly object: StoredObject }
  | { readonly kind: "committed" }
  | { readonly kind: "free" }
  | { readonly kind: "failed"; readonly failure: UpstreamFailure };
