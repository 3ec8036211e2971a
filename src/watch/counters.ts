import type { RequestRecord } from "./request-record.ts";
import type { DayCount } from "./history.ts";

/** One answered request, as the request log has it. */
export type Answered = Omit<RequestRecord, "method">;

/** How an answer came about, for a person who counts. */
export type Outcome = "hit" | "stale" | "collapsed" | "miss" | "error" | "turned-away";

/** Something that went wrong, and why. */
export interface Trouble {
  readonly at: number;
  readonly where: string;
  readonly kind: "refused" | "cut" | "fault" | "broken" | "breaker" | "answer";
  readonly cause: string;
}

export interface MirrorCounts {
  readonly requests: Readonly<Record<Outcome, number>>;
  readonly bytes: Readonly<Record<Outcome, number>>;
  /** Bytes stored: what the upstreams were asked for, but for what is passed on unstored. */
  readonly storedBytes: number;
  /** Bodies whose bytes were not what they should be. */
  readonly refused: number;
  /** Answers that ended before their end. */
  readonly cut: number;
  readonly seconds: Histogram;
}

/** Cumulative counts by upper bound, as Prometheus has them. */
export interface Histogram {
  readonly buckets: readonly number[];
  readonly sum: number;
  readonly count: number;
}

export interface PathCount {
  readonly mirror: string;
  readonly path: string;
  readonly requests: number;
  readonly bytes: number;
}

/** What one isolate has seen since it started. Plain numbers: counting one costs no I/O. */
export interface Counters {
  answered(request: Answered, now: number): void;
  stored(mirror: string, bytes: number): void;
  trouble(trouble: Trouble, mirror?: string): void;
  mirrors(): ReadonlyMap<string, MirrorCounts>;
  upstreamEvents(): ReadonlyMap<string, number>;
  /** The most wanted first. */
  top(limit: number): readonly PathCount[];
  /** The newest first. */
  troubles(): readonly Trouble[];
  /** Of the first answer; 0 before it. */
  readonly since: () => number;
}

export const DURATION_BOUNDS_SECONDS = [0.005, 0.02, 0.1, 0.5, 2, 10, 60] as const;

const OUTCOMES = ["hit", "stale", "collapsed", "miss", "error", "turned-away"] as const satisfies readonly Outcome[];
const MAX_TROUBLES = 30;
/** Paths that are counted: a crawler must not fill the memory. */
const MAX_PATHS = 2_000;

type Writable = { requests: Record<Outcome, number>; bytes: Record<Outcome, number>; storedBytes: number; refused: number; cut: number } & {
  seconds: { buckets: number[]; sum: number; count: number };
};

export function createCounters(): Counters {
  // The clock of an isolate stands still until its first request.
  let since = 0;
  const mirrors = new Map<string, Writable>();
  const paths = new Map<string, { mirror: string; path: string; requests: number; bytes: number }>();
  const events = new Map<string, number>();
  const troubles: Trouble[] = [];

  function of(mirror: string): Writable {
    let counts = mirrors.get(mirror);
    if (counts === undefined) {
      const seconds = { buckets: DURATION_BOUNDS_SECONDS.map(() => 0), sum: 0, count: 0 };
      counts = { requests: zeros(), bytes: zeros(), storedBytes: 0, refused: 0, cut: 0, seconds };
      mirrors.set(mirror, counts);
    }
    return counts;
  }

  function countPath({ mirror, path, bytes }: Answered & { readonly mirror: string }): void {
    const key = `${mirror}/${path}`;
    const counted = paths.get(key) ?? { mirror, path, requests: 0, bytes: 0 };
    counted.requests++;
    counted.bytes += bytes;
    paths.set(key, counted);
    if (paths.size <= MAX_PATHS) return;
    // The lower half goes at once: looking for the least at each request would cost more.
    const kept = [...paths].toSorted((a, b) => b[1].requests - a[1].requests).slice(0, MAX_PATHS / 2);
    paths.clear();
    for (const [keptKey, value] of kept) paths.set(keptKey, value);
  }

  function trouble(one: Trouble, mirror?: string): void {
    troubles.unshift(one);
    troubles.length = Math.min(troubles.length, MAX_TROUBLES);
    if (one.kind === "refused" && mirror !== undefined) of(mirror).refused++;
    if (one.kind === "fault" || one.kind === "broken" || one.kind === "breaker") {
      const name = `${one.where} ${one.kind}`;
      events.set(name, (events.get(name) ?? 0) + 1);
    }
  }

  return {
    since: () => since,
    answered(request, now) {
      since ||= now;
      const { mirror, path, status, bytes, cache, ms, cut } = request;
      if (mirror === null) return;
      const counts = of(mirror);
      const outcome = outcomeOf(request);
      counts.requests[outcome]++;
      counts.bytes[outcome] += bytes;
      counts.seconds.sum += ms / 1_000;
      counts.seconds.count++;
      for (const [at, bound] of DURATION_BOUNDS_SECONDS.entries()) {
        if (ms / 1_000 <= bound) counts.seconds.buckets[at] = (counts.seconds.buckets[at] ?? 0) + 1;
      }
      if (status < 400) countPath({ ...request, mirror });
      if (cut !== undefined) counts.cut++;
      if (cut !== undefined) trouble({ at: now, where: `${mirror}/${path}`, kind: "cut", cause: cut });
      // A flood of these would wash away what an operator can do something about.
      if (status >= 500 && outcome !== "turned-away")
        trouble({ at: now, where: `${mirror}/${path}`, kind: "answer", cause: `${status}: ${cache ?? "no detail"}` });
    },
    stored(mirror, bytes) {
      of(mirror).storedBytes += bytes;
    },
    trouble,
    mirrors: () => mirrors,
    upstreamEvents: () => events,
    top: (limit) => [...paths.values()].toSorted((a, b) => b.requests - a.requests || b.bytes - a.bytes).slice(0, limit),
    troubles: () => troubles,
  };
}

/** By RFC 9211: `hit`, `fwd=miss; collapsed`, `fwd=stale; fwd-status=304`. */
function outcomeOf({ status, cache, turnedAway }: Answered): Outcome {
  if (turnedAway === true) return "turned-away";
  if (status >= 400) return "error";
  if (cache === null) return "miss";
  if (/^hit\b/.test(cache)) return /ttl=-/.test(cache) ? "stale" : "hit";
  // The upstream was asked, and sent nothing: the bytes are the store's.
  if (/fwd-status=304/.test(cache)) return "hit";
  return /\bcollapsed\b/.test(cache) ? "collapsed" : "miss";
}

/** What one answer adds to its mirror's day. */
export function tallyOf(request: Answered): Omit<DayCount, "mirror" | "day" | "refused"> {
  const { bytes, cache, cut } = request;
  const outcome = outcomeOf(request);
  return {
    requests: 1,
    served: bytes,
    saved: outcome === "hit" || outcome === "stale" || outcome === "collapsed" ? bytes : 0,
    // What is stored is counted as it is stored.
    fetched: outcome === "miss" && !/; stored\b/.test(cache ?? "") ? bytes : 0,
    cut: cut === undefined ? 0 : 1,
    turnedAway: outcome === "turned-away" ? 1 : 0,
  };
}

function zeros(): Record<Outcome, number> {
  return Object.fromEntries(OUTCOMES.map((outcome) => [outcome, 0])) as Record<Outcome, number>;
}
