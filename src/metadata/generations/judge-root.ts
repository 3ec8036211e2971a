import type { ParsedRoot, RootParse } from "../formats/parsed-root.ts";

/** An older root (or none, or one without its signature) is believed once every reachable upstream has shown it for this long. */
const DOUBT_MS = 60 * 60 * 1000;

export type Judgement =
  | { readonly kind: "adopt" }
  /**
   * `opaque`: it does not parse, and neither did the held one. `refused`: it does not parse, or is past its Valid-Until, where the held one does and is
   * not. `doubt`: it is older, and is adopted once every reachable upstream has shown an older one for DOUBT_MS.
   */
  | { readonly kind: "opaque" | "refused" | "doubt"; readonly reason: string };

/**
 * Whether a root that an upstream shows may replace the held one; null: none is held, or one that does not parse. Times in milliseconds since the epoch;
 * `doubtSince` as in `Standing`.
 */
export function judgeRoot(held: ParsedRoot | null, candidate: RootParse, now: number, doubtSince: number | null): Judgement {
  if (candidate.kind === "malformed") {
    const { reason } = candidate;
    return held === null ? { kind: "opaque", reason } : { kind: "refused", reason: `it is malformed: ${reason}` };
  }
  if (held === null) return { kind: "adopt" };
  const { root } = candidate;
  if (isOlder(root, held) && !isBelieved(now, doubtSince)) {
    return { kind: "doubt", reason: `it is older than the one held (${formatAge(root)} before ${formatAge(held)})` };
  }
  // An archived suite is past its Valid-Until for ever: only a held root that is not past its own is defended.
  if (isExpired(root, now) && !isExpired(held, now)) {
    return { kind: "refused", reason: `it is past its Valid-Until (${new Date(root.validUntil ?? 0).toISOString()})` };
  }
  return { kind: "adopt" };
}

/** Whether every reachable upstream has shown a doubtful root for so long that it is believed. */
export function isBelieved(now: number, doubtSince: number | null): boolean {
  return doubtSince !== null && now - doubtSince >= DOUBT_MS;
}

/** By revision where both have one, then by the newest timestamp: a repository that adds updateinfo to a finished repomd.xml keeps its revision. */
function isOlder(one: ParsedRoot, other: ParsedRoot): boolean {
  if (one.revision !== undefined && other.revision !== undefined && one.revision !== other.revision) return one.revision < other.revision;
  return one.timestamp !== undefined && other.timestamp !== undefined && one.timestamp < other.timestamp;
}

function isExpired(root: ParsedRoot, now: number): boolean {
  return root.validUntil !== undefined && now > root.validUntil;
}

function formatAge(root: ParsedRoot): string {
  const seconds = root.revision ?? root.timestamp;
  return seconds === undefined ? "no date" : new Date(seconds * 1000).toISOString();
}
