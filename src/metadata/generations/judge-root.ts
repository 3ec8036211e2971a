import { DAY_MS } from "../../http/units.ts";
import type { HoldKind } from "../../watch/hold.ts";
import { dateOf, dateOfRevision, type ParsedRoot, type RootParse } from "../formats/parsed-root.ts";

/** A doubtful root is believed once every reachable upstream has shown one for this long. */
const DOUBT_MS = 60 * 60 * 1000;

/** What makes a root doubtful. */
export type DoubtKind = Extract<HoldKind, "older" | "future" | "malformed" | "expired" | "unsigned" | "gone">;

export type Judgement =
  | { readonly kind: "adopt" }
  /** No client can read it, and nothing that clients could read is held, or none has been shown for DOUBT_MS: its path is cached by itself. */
  | { readonly kind: "opaque"; readonly reason: string }
  /** It is adopted, or a malformed one taken as opaque, once every reachable upstream has shown a doubtful root for DOUBT_MS. */
  | { readonly kind: "doubt"; readonly doubt: DoubtKind; readonly reason: string };

/**
 * Whether a root that an upstream shows may replace the held one. `held`: what the held one names; null: it does not parse. `isHeld`: whether one is held
 * at all. `isBelieved`: every reachable upstream has shown a doubtful root for DOUBT_MS. `now` in milliseconds since the epoch.
 */
export function judgeRoot(
  { held, isHeld, isBelieved: isBelievedNow }: { readonly held: ParsedRoot | null; readonly isHeld: boolean; readonly isBelieved: boolean },
  candidate: RootParse,
  now: number,
): Judgement {
  if (candidate.kind === "malformed") {
    const { reason } = candidate;
    return isHeld && !isBelievedNow
      ? { kind: "doubt", doubt: "malformed", reason: `it is malformed: ${reason}` }
      : { kind: "opaque", reason };
  }
  if (held === null || isBelievedNow) return { kind: "adopt" };
  const { root } = candidate;
  const [isAhead, isHeldAhead] = [isOfTheFuture(root, now), isOfTheFuture(held, now)];
  if (isHeldAhead && !isAhead) return { kind: "adopt" };
  if (isAhead && !isHeldAhead)
    return { kind: "doubt", doubt: "future", reason: `it is dated in the future (${formatAge(root)}), and the one held is not` };
  if (isOlder(root, held)) {
    return { kind: "doubt", doubt: "older", reason: `it is older than the one held (${formatAge(root)} before ${formatAge(held)})` };
  }
  // An archived suite is past its Valid-Until for ever: only a held root that is not past its own is defended.
  if (isExpired(root, now) && !isExpired(held, now)) {
    const reason = `it is past its Valid-Until (${new Date(root.validUntil ?? 0).toISOString()})`;
    return { kind: "doubt", doubt: "expired", reason };
  }
  return { kind: "adopt" };
}

/** Whether every reachable upstream has shown a doubtful root for so long that it is believed. */
export function isBelieved(now: number, doubtSince: number | null): boolean {
  return doubtSince !== null && now - doubtSince >= DOUBT_MS;
}

/** When a doubt that began at `since` ends. */
export function doubtUntil(since: number): number {
  return since + DOUBT_MS;
}

/**
 * By revision where both have one of the same sort (a time or a counter), then by the newest timestamp: a repository that adds updateinfo to a finished
 * repomd.xml keeps its revision.
 */
export function isOlder(one: ParsedRoot, other: ParsedRoot): boolean {
  const areComparable = (dateOfRevision(one) === undefined) === (dateOfRevision(other) === undefined);
  if (areComparable && one.revision !== undefined && other.revision !== undefined && one.revision !== other.revision) {
    return one.revision < other.revision;
  }
  return one.timestamp !== undefined && other.timestamp !== undefined && one.timestamp < other.timestamp;
}

/** More than a day ahead of our clock: its maker's clock was wrong, or its revision is no time. Such a date says nothing about which root is the newer. */
function isOfTheFuture(root: ParsedRoot, now: number): boolean {
  return [dateOfRevision(root), root.timestamp].some((seconds) => seconds !== undefined && seconds * 1000 > now + DAY_MS);
}

/** Whether clients refuse it by now. */
export function isExpired(root: ParsedRoot, now: number): boolean {
  return root.validUntil !== undefined && now > root.validUntil;
}

function formatAge(root: ParsedRoot): string {
  const seconds = dateOf(root);
  if (seconds !== undefined) return new Date(seconds * 1000).toISOString();
  return root.revision === undefined ? "no date" : `revision ${root.revision}`;
}
