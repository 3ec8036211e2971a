import { elapsedMs } from "../clock/elapsed.ts";
import { isImmutable, type PathClass } from "../config/config.ts";
import type { ExchangeResult } from "./exchange.ts";
import type { Availability } from "./health.ts";

/** An upstream that failed for longer no longer keeps the others' 404 of a package from the client: it may be gone for good. */
const PACKAGE_PATIENCE_MS = 600_000;
/** The same of anything else for one that can be reached, and is busy or broken. */
const PROBE_PATIENCE_MS = 60_000;

/** An upstream that did not say whether it has the file. */
export interface SilentUpstream {
  readonly state: Availability;
  /** Since when it has failed, for all files or for this one, in milliseconds since the epoch; 0: it has not. */
  readonly failingSince: number;
  /** What its exchange came to; undefined: it was not asked. */
  readonly fault: ExchangeResult["kind"] | undefined;
  /** The operator prefers it to every upstream that said that it has no such file. */
  readonly isPreferred: boolean;
}

/**
 * Whether a silent upstream may have the file that the others say they do not have. As long as it may, the client gets a failure, which it tries again,
 * in place of a 404, which it takes for final.
 *
 * Of a package, or a file named by its digest, every upstream may have it for PACKAGE_PATIENCE_MS: metadata names it, so that one of them must have it.
 *
 * Anything else may exist nowhere: clients ask for optional signatures, `media.1/media` or the other form of a root to see whether they are there. A dead
 * upstream must not turn each such 404 into an outage, so that only one that can be reached counts, for PROBE_PATIENCE_MS: it is busy, or was not asked; or
 * the server is in error, and preferred to those that answered. (A less preferred one may answer 500 to this path for ever.)
 * Pure; `now` in milliseconds since the epoch.
 */
export function mayStillHave(pathClass: PathClass, { state, failingSince, fault, isPreferred }: SilentUpstream, now: number): boolean {
  const hasJustBegun = (patienceMs: number): boolean => failingSince === 0 || elapsedMs(failingSince, now) < patienceMs;
  if (isImmutable(pathClass)) return hasJustBegun(PACKAGE_PATIENCE_MS);
  const canAnswer = fault === undefined ? state !== "open" : fault === "busy" || (fault === "wrong" && isPreferred);
  return canAnswer && hasJustBegun(PROBE_PATIENCE_MS);
}
