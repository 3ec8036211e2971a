import type { Generation } from "../members/generation.ts";
import type { ParsedRoot, RootParse } from "../formats/parsed-root.ts";

/** For how long every reachable upstream must show an older root (or none, or one without its signature) before it is believed. */
export const DOUBT_MS = 60 * 60 * 1000;

/** What is held of a repository: a parsed root, an opaque one, or nothing yet. */
export type HeldRoot = { readonly kind: "parsed"; readonly root: ParsedRoot } | { readonly kind: "opaque" } | { readonly kind: "nothing" };

export function heldRoot(generation: Generation | null): HeldRoot {
  if (generation === null) return { kind: "nothing" };
  return generation.parsed === null ? { kind: "opaque" } : { kind: "parsed", root: generation.parsed };
}

export type Judgement =
  | { readonly kind: "adopt" }
  /** It cannot be parsed and never could. */
  | { readonly kind: "opaque"; readonly reason: string }
  /** `doubt`: may be true after all, if every reachable upstream says so for DOUBT_MS. */
  | { readonly kind: "refuse"; readonly reason: string; readonly doubt: boolean };

/** Whether a root that an upstream shows may replace the held one. `doubtSince`: since when every reachable upstream has shown such a one. */
export function judgeRoot(held: HeldRoot, candidate: RootParse, now: number, doubtSince: number | null): Judgement {
  if (candidate.kind === "malformed") {
    return held.kind === "parsed"
      ? { kind: "refuse", reason: `it is malformed: ${candidate.reason}`, doubt: false }
      : { kind: "opaque", reason: candidate.reason };
  }
  if (held.kind !== "parsed") return { kind: "adopt" };
  const { root } = candidate;
  if (isOlder(root, held.root) && !isBelieved(now, doubtSince)) {
    return { kind: "refuse", reason: `it is older than the one held (${describeAge(root)} before ${describeAge(held.root)})`, doubt: true };
  }
  // An archived suite is past its date for ever, and clients know: only what is better than that is defended.
  if (isExpired(root, now) && !isExpired(held.root, now)) {
    return { kind: "refuse", reason: `it is past its Valid-Until (${new Date(root.validUntil ?? 0).toISOString()})`, doubt: false };
  }
  return { kind: "adopt" };
}

/** Whether a doubtful sight has lasted so long that it is believed. */
export function isBelieved(now: number, doubtSince: number | null): boolean {
  return doubtSince !== null && now - doubtSince >= DOUBT_MS;
}

/**
 * By revision where both have one, then by the newest timestamp: a repository that adds updateinfo to a finished repomd.xml keeps its revision.
 */
function isOlder(one: ParsedRoot, other: ParsedRoot): boolean {
  if (one.revision !== undefined && other.revision !== undefined && one.revision !== other.revision) return one.revision < other.revision;
  return one.timestamp !== undefined && other.timestamp !== undefined && one.timestamp < other.timestamp;
}

function isExpired(root: ParsedRoot, now: number): boolean {
  return root.validUntil !== undefined && now > root.validUntil;
}

function describeAge(root: ParsedRoot): string {
  const seconds = root.revision ?? root.timestamp;
  return seconds === undefined ? "no date" : new Date(seconds * 1000).toISOString();
}
