import type { UpstreamEvent } from "../upstream/upstream.ts";
import type { DayCount } from "./history.ts";
import { createTroubles, type TroubleLine } from "./troubles.ts";

/** One line of the request log. */
export interface RequestRecord {
  readonly method: string;
  /** Null for a refused request that names no mirror. */
  readonly mirror: string | null;
  /** Below the mirror; without a mirror the request target. */
  readonly path: string;
  readonly status: number;
  /** Bytes of the body that were sent to the client, or handed to the runtime as one body. */
  readonly bytes: number;
  /** The value of Cache-Status without our own name. */
  readonly cache: string | null;
  /** Milliseconds until the answer had ended. */
  readonly ms: number;
  /** Why the body ended early; absent if it did not. */
  readonly cut?: string;
  /** Refused before anything was looked up: by the mirror's `access`, a rate limit, a bad path, or a loop of mirrors. */
  readonly turnedAway?: true;
  /** The address of a client that was refused for who it is. */
  readonly client?: string;
  /** How many requests the line stands for; absent: this one alone (sample-records.ts). */
  readonly weight?: number;
}

/**
 * Where the bytes of an answer came from: the store (`hit`; `stale` without the upstream's confirmation), another request's fill (`collapsed`), an upstream
 * (`miss`); or it failed (`error`), or was refused before anything was looked up (`turned-away`).
 */
export type CacheResult = "hit" | "stale" | "collapsed" | "miss" | "error" | "turned-away";

/** Counts of one mirror. */
export interface MirrorCounts {
  readonly requests: Record<CacheResult, number>;
  readonly bytes: Record<CacheResult, number>;
  /** Bytes that fills stored. Bytes that were passed on without being stored are not among them. */
  storedBytes: number;
  /** Bodies from upstreams that failed verification. */
  refused: number;
  /** Answers whose body ended early. */
  cut: number;
  /** How long answers took, as a Prometheus histogram: `buckets[i]` counts the values up to `DURATION_BOUNDS_SECONDS[i]`. */
  readonly seconds: { readonly buckets: number[]; sum: number; count: number };
}

/** Successful requests for one path, and the bytes of their bodies. */
export interface PathCount {
  readonly mirror: string;
  readonly path: string;
  readonly requests: number;
  readonly bytes: number;
}

/** Upper bounds of the histogram's buckets. */
export const DURATION_BOUNDS_SECONDS = [0.005, 0.02, 0.1, 0.5, 2, 10, 60] as const;

/** How many files that were not stored are remembered, with the reason. */
const MAX_UNSTORED = 1_000;
/** How many paths are counted: without a limit a crawler could fill the memory. */
const MAX_PATHS = 2_000;

/** What one isolate has counted since it started, in memory. No call does I/O. */
export type Counters = ReturnType<typeof createCounters>;

/** Counters that begin at 0. Times are milliseconds since the epoch. */
export function createCounters() {
  // Not the time of creation: an isolate's clock stands still until its first request.
  let since = 0;
  let answers = 0;
  const mirrors = new Map<string, MirrorCounts>();
  const paths = new Map<string, { mirror: string; path: string; requests: number; bytes: number }>();
  const events = new Map<string, number>();
  const rotten = new Map<string, number>();
  const troubles = createTroubles();
  const unstored = new Map<string, { readonly at: number; readonly reason: string }>();

  function of(mirror: string): MirrorCounts {
    let counts = mirrors.get(mirror);
    if (counts === undefined) mirrors.set(mirror, (counts = zeroCounts()));
    return counts;
  }

  function countPath(mirror: string, { path, bytes }: RequestRecord): void {
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

  /** Keeps a trouble for the status page. `mirror`: whose body was refused. */
  function trouble(one: TroubleLine, mirror?: string): void {
    troubles.add(one);
    if (one.kind === "refused" && mirror !== undefined) of(mirror).refused++;
    if (one.kind === "fault" || one.kind === "broken" || one.kind === "breaker") {
      const name = `${one.where} ${one.kind}`;
      events.set(name, (events.get(name) ?? 0) + 1);
    }
  }

  return {
    /** The time of the first answer; 0 before it. */
    since: () => since,
    /** How many requests for files were answered. */
    answers: () => answers,
    /** Counts an answer. */
    answered(request: RequestRecord, now: number): void {
      since ||= now;
      answers++;
      const { mirror, path, status, bytes, cache, ms, cut } = request;
      if (mirror === null) return;
      const counts = of(mirror);
      const result = resultOf(request);
      counts.requests[result]++;
      counts.bytes[result] += bytes;
      counts.seconds.sum += ms / 1_000;
      counts.seconds.count++;
      for (const [at, bound] of DURATION_BOUNDS_SECONDS.entries()) {
        if (ms / 1_000 <= bound) counts.seconds.buckets[at] = (counts.seconds.buckets[at] ?? 0) + 1;
      }
      if (status < 400) countPath(mirror, request);
      if (cut !== undefined) counts.cut++;
      if (cut !== undefined) trouble({ at: now, where: `${mirror}/${path}`, kind: "cut", cause: cut });
      // Requests that were turned away may be many, and would push the upstreams' troubles off the page.
      if (status >= 500 && result !== "turned-away")
        trouble({ at: now, where: `${mirror}/${path}`, kind: "answer", cause: `${status}: ${cache ?? "no detail"}` });
    },
    /** Counts bytes that a fill stored. */
    stored(mirror: string, bytes: number): void {
      of(mirror).storedBytes += bytes;
    },
    trouble,
    /** A stored object was deleted, as its bytes had changed. `ledger`: the name of the one that has it. */
    rotten(ledger: string, key: string, reason: string, now: number): void {
      rotten.set(ledger, (rotten.get(ledger) ?? 0) + 1);
      trouble({ at: now, where: key, kind: "rotten", cause: reason });
    },
    /** How many stored objects were deleted as their bytes had changed, by the name of their ledger: the mirror's, or `-` for what all mirrors share. */
    rottenObjects: (): ReadonlyMap<string, number> => rotten,
    upstreamEvent(event: UpstreamEvent, at: number): void {
      if (event.kind !== "resumed") trouble({ at, where: event.upstream, kind: event.kind, cause: causeOf(event) });
    },
    /** By mirror; mirrors without a request or a stored object are absent. */
    mirrors: (): ReadonlyMap<string, MirrorCounts> => mirrors,
    /** How often each upstream had trouble, by `<upstream> <kind>`. */
    upstreamEvents: (): ReadonlyMap<string, number> => events,
    /** The paths with the most requests, most first. */
    top: (limit: number): readonly PathCount[] =>
      [...paths.values()].toSorted((a, b) => b.requests - a.requests || b.bytes - a.bytes).slice(0, limit),
    troubles,
    /** A file was passed on without being stored. */
    passed(key: string, reason: string, now: number): void {
      unstored.delete(key);
      unstored.set(key, { at: now, reason });
      for (const [oldest] of unstored) if (unstored.size > MAX_UNSTORED) unstored.delete(oldest);
      trouble({ at: now, where: key, kind: "unstored", cause: reason });
    },
    /** When a file was last passed on without being stored, and why; null: this isolate knows of none. */
    unstored: (key: string): { readonly at: number; readonly reason: string } | null => unstored.get(key) ?? null,
  };
}

/** Reads the Cache-Status value (RFC 9211): `hit`, `fwd=miss; collapsed`, `fwd=stale; fwd-status=304`. */
function resultOf({ status, cache, turnedAway }: RequestRecord): CacheResult {
  if (turnedAway === true) return "turned-away";
  if (status >= 400) return "error";
  if (cache === null) return "miss";
  if (/^hit\b/.test(cache)) return /ttl=-/.test(cache) ? "stale" : "hit";
  // The upstream confirmed the stored copy and sent no bytes.
  if (/fwd-status=304/.test(cache)) return "hit";
  return /\bcollapsed\b/.test(cache) ? "collapsed" : "miss";
}

/** What one answer adds to its mirror's day. */
export function tallyOf(request: RequestRecord): Omit<DayCount, "mirror" | "day" | "refused"> {
  const { bytes, cache, cut } = request;
  const result = resultOf(request);
  return {
    requests: 1,
    served: bytes,
    saved: result === "hit" || result === "stale" || result === "collapsed" ? bytes : 0,
    // Stored bytes are counted when they are stored.
    fetched: result === "miss" && !/; stored\b/.test(cache ?? "") ? bytes : 0,
    cut: cut === undefined ? 0 : 1,
    turnedAway: result === "turned-away" ? 1 : 0,
  };
}

/** Counts of a mirror without a request. */
export function zeroCounts(): MirrorCounts {
  // In the order in which the metrics list them.
  const zeros = { hit: 0, stale: 0, collapsed: 0, miss: 0, error: 0, "turned-away": 0 };
  const seconds = { buckets: DURATION_BOUNDS_SECONDS.map(() => 0), sum: 0, count: 0 };
  return { requests: { ...zeros }, bytes: zeros, storedBytes: 0, refused: 0, cut: 0, seconds };
}

function causeOf(event: Exclude<UpstreamEvent, { readonly kind: "resumed" }>): string {
  switch (event.kind) {
    case "breaker":
      return event.state === "open" ? `left out for ${event.openMs} ms` : "works again";
    case "fault":
      return `${event.path}: ${event.detail}`;
    case "broken":
      return `${event.path} at byte ${event.position}: ${event.detail}`;
  }
}
