import type { CacheStatus } from "../../http/cache-status.ts";

/** What a step of serving comes to: the answer, or that the store is to be looked at again. */
export type Outcome = Response | LookAgain;

export interface LookAgain {
  readonly kind: "look-again";
  /** What lies there now is the answer, with this status: it was stored or confirmed a moment ago. */
  readonly settled?: CacheStatus;
  /** The key of what a generation names and the store no longer has: the repository fetches it again. */
  readonly lost?: string;
}
