import { isImmutable, type PathClass } from "../config/config.ts";
import type { ExchangeResult } from "./exchange.ts";
import type { Health } from "./health.ts";

/** An upstream that failed for longer no longer keeps the others' 404 of a package from the client: it may be gone for good. */
const PACKAGE_PATIENCE_MS = 600_000;
/** The same for what clients ask for only to see whether it is there (an optional signature, `media.1/media`, the other form of a root). */
const PROBE_PATIENCE_MS = 60_000;

/** An upstream that did not say whether it has the file. */
export interface SilentUpstream {
  readonly health: Pick<Health, "failingSince" | "isKnown">;
  /** What its exchange came to; undefined: it was not asked, or not to the end. */
  readonly fault: ExchangeResult["kind"] | undefined;
  /** The operator prefers it to every upstream that said that it has no such file. */
  readonly isPreferred: boolean;
}

/**
 * Whether a silent upstream may have the file that the others say they do not have. As long as it may, the client gets a failure, which it tries again,
 * in place of a 404, which it takes for final.
 *
 * Of a package, or a file named by its digest, every upstream may have it for PACKAGE_PATIENCE_MS: metadata names it, so that one of them must have it.
 * Anything else may exist nowhere, and a client that asks the preferred upstream directly gets its 404 whatever the others do. There a less preferred one
 * counts only while it has just become unreachable (it has answered this isolate before), a preferred one in any case, each for PROBE_PATIENCE_MS.
 * Pure; `now` in milliseconds since the epoch.
 */
export function mayStillHave(pathClass: PathClass, { health, fault, isPreferred }: SilentUpstream, now: number): boolean {
  const isPackage = isImmutable(pathClass);
  if (!isPackage && fault === "refused") return false;
  // It can be reached, and may answer 500 to this path for ever.
  if (!isPackage && !isPreferred && (fault === "wrong" || !health.isKnown)) return false;
  return health.failingSince === 0 || now - health.failingSince < (isPackage ? PACKAGE_PATIENCE_MS : PROBE_PATIENCE_MS);
}
