import type { RequestRecord } from "./request-record.ts";
import type { DayCount } from "./history.ts";

/** One answered request (request-record.ts). */
export type Answered = Omit<RequestRecord, "method">;

/**
 * Where the bytes of an answer came from: the store (`hit`; `stale` without the upstream's confirmation), another request's fill (`collapsed`), an upstream
 * (`miss`); or it failed (`error`), or was refused before anything was looked up (`turned-away`).
 */
export type Outcome = "hit" | "stale" | "collapsed" | "miss" | "error" | "turned-away";

/** Something that went wrong. */
export interface Trouble {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** The upstream's URL, or `<mirror>/<path>`. */
  readonly where: string;
  readonly kind: "refused" | "cut" | "fault" | "broken" | "breaker" | "answer";
  readonly cause: string;
}

/** Counts of one mirror. */
export interface MirrorCounts {
  readonly requests: Readonly<Record<Outcome, number>>;
  readonly bytes: Readonly<Record<Outcome, number>>;
  /** Bytes that fills stored. Bytes that were passed on without being stored are not among them. */
  readonly storedBytes: number;
  /** Bodies from upstreams that failed verification. */
  readonly refused: number;
  /** Answers whose body ended early. */
  readonly cut: number;
  /** How long answers took. */
  readonly seconds: Histogram;
}

/** A Prometheus histogram: `buckets[i]` counts the values up to `DURATION_BOUNDS_SECONDS[i]`. */
export interface Histogram {
  readonly buckets: readonly number[];
  readonly sum: number;
  readonly count: number;
}

/** Successful requests for one path. */
export interface PathCount {
  readonly mirror: string;
  readonly path: string;
  readonly requests: number;
  /** Of bodies. */
  readonly bytes: number;
}

/** What one isolate has counted since it started, in memory. No call does I/O. */
export interface Counters {
  /** Counts an answer. `now`: milliseconds since the epoch. */
  answered(request: Answered, now: number): void;
  /** Counts bytes that a fill stored. */
  stored(mirror: string, bytes: number): void;
  /** Keeps a trouble for the status page. `mirror`: whose body was refused. */
  trouble(trouble: Trouble, mirror?: string): void;
  /** By mirror; mirrors without a request or a stored object are absent. */
  mirrors(): ReadonlyMap<string, MirrorCounts>;
  /** How often each upstream had trouble, by `<upstream> <kind>`. */
  upstreamEvents(): ReadonlyMap<string, number>;
  /** The paths with the most requests, most first. */
  top(limit: number): readonly PathCount[];
  /** The newest first. */
  troubles(): readonly Trouble[];
  /** Milliseconds since the epoch of the first answer; 0 before it. */
  readonly since: () => number;
}

/** Upper bounds of the histogram's buckets. */
export const DURATION_BOUNDS_SECONDS = [0.005, 0.02, 0.1, 0.5, 2, 10, 60] as const;

const OUTCOMES = ["hit", "stale", "collapsed", "miss", "error", "turned-away"] as const satisfies readonly Outcome[];
const MAX_TROUBLES = 30;
/** How many paths are counted: without a limit a crawler could fill the memory. */
const MAX_PATHS = 2_000;

type Writable = { requests: Record<Outcome, number>; bytes: Record<Outcome, number>; storedBytes: number; refused: number; cut: number } & {
  seconds: { buckets: number[]; sum: number; count: number };
};

/** Counters that begin at 0. */
export function createCounters(): Counters {
  // Not the time of creation: an isolate's clock stands still until its first request.
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
    // Drop the lower half at once: to look for the least wanted path at each request would cost more.
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
      // Requests that were turned away may be many, and would push the upstreams' troubles off the page.
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

/** Reads the Cache-Status value (RFC 9211): `hit`, `fwd=miss; collapsed`, `fwd=stale; fwd-status=304`. */
function outcomeOf({ status, cache, turnedAway }: Answered): Outcome {
  if (turnedAway === true) return "turned-away";
  if (status >= 400) return "error";
  if (cache === null) return "miss";
  if (/^hit\b/.test(cache)) return /ttl=-/.test(cache) ? "stale" : "hit";
  // The upstream confirmed the stored copy and sent no bytes.
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
    // Stored bytes are counted when they are stored.
    fetched: outcome === "miss" && !/; stored\b/.test(cache ?? "") ? bytes : 0,
    cut: cut === undefined ? 0 : 1,
    turnedAway: outcome === "turned-away" ? 1 : 0,
  };
}

function zeros(): Record<Outcome, number> {
  return Object.fromEntries(OUTCOMES.map((outcome) => [outcome, 0])) as Record<Outcome, number>;
}
