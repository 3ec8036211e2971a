import { isAhead } from "../clock/elapsed.ts";
import { isImmutable, type Config, type PathClass } from "../config/config.ts";
import type { CacheStatus } from "../http/cache-status.ts";
import { DAY_MS } from "../http/units.ts";
import { isProvenFor } from "../store/keys.ts";
import { isUnproven, type StoredObject } from "../store/stored-object.ts";
import type { Where } from "./locate.ts";

/** Listings, images under a moving name, keys, logs: no upstream promises how long they stay. */
const VOLATILE_TTL_MS = 120_000;
/** Packages of trees that rebuild under one name are asked about once a day. */
const UNSTABLE_TTL_MS = DAY_MS;
/**
 * A client that doubts a package, or an index that names it by a digest that is not known of it, has the upstream asked, once in this time; after a question
 * that failed, none is asked for as long.
 */
const SUSPICION_MS = 60_000;
/** The same for a file that may change: an upstream that keeps silent is not to hold up each of its clients. */
const RETRY_MS = 10_000;

/** All that decides whether a stored copy may be used. Times in milliseconds since the epoch. */
export interface FreshnessQuestion {
  /** What lies in the store; null: nothing. */
  readonly stored:
    | (Pick<StoredObject, "storedAt"> & Partial<Pick<StoredObject, "provisional" | "verified" | "sliceBytes" | "sha256">>)
    | null;
  readonly where: Exclude<Where, { kind: "absent" }>;
  /** The look before this one saw to the file a moment ago: what lies there now is the answer, with this status. */
  readonly settled: CacheStatus | undefined;
  readonly class: PathClass;
  /** The client asks whether this is still the file. */
  readonly isDoubted: boolean;
  /** When an upstream last answered for it; 0 for never. */
  readonly answeredAt: number;
  /** When such a question last failed; 0 for never. */
  readonly failedAt: number;
  /** When the signature of the file was last fetched or compared, and may have changed; 0 for never. */
  readonly doubtedAt: number;
  /** Of a detached signature: the stored file that it signs. */
  readonly signed: Signed | null;
  readonly now: number;
}

/** A stored file that has a signature beside it: when these bytes were stored, and when an upstream last answered for them. */
export interface Signed {
  readonly storedAt: number;
  readonly answeredAt: number;
}

/** `use` it, with this status and age; `ask` an upstream first; or it is as good as `gone`. */
export type Freshness =
  | { readonly kind: "use"; readonly cacheStatus: CacheStatus; readonly ageSeconds: number }
  | { readonly kind: "ask" }
  | { readonly kind: "gone" };

/** Whether a stored copy may be used (RFC 9111 §4.2: fresh, or stale and to be validated). Pure. */
export function freshness(question: FreshnessQuestion, config: Pick<Config, "metadataTtlSeconds" | "retentionDays">): Freshness {
  const { stored, where, settled, class: pathClass, isDoubted, signed, now } = question;
  if (stored === null || pathClass === "pass") return { kind: "gone" };
  if (settled !== undefined) return use(settled, 0);

  // What a wrong clock dated is as if it had never been.
  const past = (time: number): number => (isAhead(time, now) ? 0 : time);
  const knownAt = past(stored.storedAt);
  const answeredAt = past(question.answeredAt);
  const failedAt = past(question.failedAt);
  const doubtedAt = past(question.doubtedAt);
  const ageMs = now - Math.max(knownAt, answeredAt);
  const ageSeconds = ageSecondsOf(stored, answeredAt, now);
  // Unproven pieces that clients fetched do not make a member: its repository proves them, or fetches the member anew.
  if (where.kind === "generation" && where.sharedKey !== undefined && !isProvenFor(where.sharedKey, stored)) return { kind: "gone" };
  if (where.kind === "generation") return use(statusOf(where, config.metadataTtlSeconds), where.ageSeconds);
  // Nothing is published; but a root that no parser could read is stored under its own name, and old is better than nothing.
  if (where.kind === "failure") return use({ kind: "hit", ttlSeconds: -1, detail: `stale: ${where.failure.detail}` }, ageSeconds);

  // It may be cut off: it only stands in for an upstream that does not answer.
  if (!isImmutable(pathClass) && isUnproven(stored)) return { kind: "ask" };

  switch (pathClass) {
    case "hashed":
    case "package":
    case "unstable-package": {
      if (now - failedAt < SUSPICION_MS) break;
      // Past its retention: an upstream says whether it begins a new life.
      if (now - knownAt >= config.retentionDays * DAY_MS && (knownAt > 0 || answeredAt === 0)) return { kind: "ask" };
      // Its name is its digest: it was right when it was stored, and is right now.
      if (pathClass === "hashed") break;
      if (pathClass === "unstable-package" && ageMs >= UNSTABLE_TTL_MS) return { kind: "ask" };
      if (isDoubted && ageMs >= SUSPICION_MS) return { kind: "ask" };
      // An index names it by what was not compared: its age says nothing of that.
      if (stored.provisional === true && now - answeredAt >= SUSPICION_MS) return { kind: "ask" };
      break;
    }
    case "volatile": {
      const leftMs = VOLATILE_TTL_MS - pairAgeMs();
      if (leftMs <= 0 && now - failedAt < RETRY_MS) {
        return use({ kind: "hit", ttlSeconds: leftMs / 1_000, detail: "stale: a moment ago no upstream could confirm it" }, ageSeconds);
      }
      return leftMs <= 0 ? { kind: "ask" } : use({ kind: "hit", ttlSeconds: leftMs / 1_000 }, ageSeconds);
    }
    // A root that no parser can read, and what no generation covers.
    case "root":
    case "member":
      return withinLife(config.metadataTtlSeconds * 1_000);
  }
  return use({ kind: "hit" }, ageSeconds);

  /**
   * The age of a volatile file, as the rule for pairs has it: a signature lives as long as the file that it signs, and whichever of the two changed makes
   * the other be asked for too. Otherwise a new signature would meet an old file for as long as their lives overlap.
   */
  function pairAgeMs(): number {
    const confirmedAt = Math.max(knownAt, answeredAt);
    if (doubtedAt > confirmedAt) return Math.max(ageMs, VOLATILE_TTL_MS);
    if (signed === null) return ageMs;
    const signedStoredAt = past(signed.storedAt);
    const signedAt = Math.max(signedStoredAt, past(signed.answeredAt));
    if (signedStoredAt > confirmedAt || signedAt >= confirmedAt + VOLATILE_TTL_MS) return Math.max(ageMs, VOLATILE_TTL_MS);
    return Math.min(ageMs, now - signedAt);
  }

  function withinLife(lifeMs: number): Freshness {
    return ageMs >= lifeMs ? { kind: "ask" } : use({ kind: "hit", ttlSeconds: (lifeMs - ageMs) / 1_000 }, ageSeconds);
  }
}

/** Seconds since an upstream last gave or confirmed a stored copy (the Age of RFC 9111 §5.1); 0 where a wrong clock dated it and none has answered since. */
export function ageSecondsOf(stored: Pick<StoredObject, "storedAt">, answeredAt: number, now: number): number {
  const since = isAhead(stored.storedAt, now) ? answeredAt || now : Math.max(stored.storedAt, answeredAt);
  return Math.max(0, (now - since) / 1_000);
}

/** Whether a stored copy begins a new life when an upstream confirms it: past its retention, or dated by a wrong clock. */
export function needsRenewal(stored: Pick<StoredObject, "storedAt">, now: number, retentionDays: number): boolean {
  return isAhead(stored.storedAt, now) || now - stored.storedAt >= retentionDays * DAY_MS;
}

function use(cacheStatus: CacheStatus, ageSeconds: number): Freshness {
  return { kind: "use", cacheStatus, ageSeconds };
}

function statusOf({ state, ageSeconds, detail }: Extract<Where, { kind: "generation" }>, ttlSeconds: number): CacheStatus {
  if (state === "revalidated") return { kind: "forwarded", reason: "stale", stored: true, detail };
  if (state === "fetched") return { kind: "forwarded", reason: "miss", stored: true, detail };
  return { kind: "hit", ttlSeconds: ttlSeconds - ageSeconds, detail };
}
