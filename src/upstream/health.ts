import { elapsedMs } from "../clock/elapsed.ts";

/**
 * What this isolate knows of one upstream. It outlives requests, so it is plain data and holds no stream, signal or promise. Times are milliseconds
 * since the epoch.
 */
export interface Health {
  /** Failures in a row, each path counted once. */
  readonly failures: number;
  /** When it first failed, or limited this mirror, since its last success; 0: it has not. */
  readonly failingSince: number;
  /** When a response last ended whole; 0: never. */
  readonly succeededAt: number;
  /** A body broke since then: that headers come says nothing any more. */
  readonly isBodyDoubted: boolean;
  /** The last results, newest last, of each path only the newest. */
  readonly recent: readonly Result[];
  /** The breaker is open until this time; 0: closed. */
  readonly openUntil: number;
  /** A probe of the open breaker is under way; without a result by `openUntil` it counts as lost. */
  readonly probing: boolean;
  /** How often the breaker opened since the last success: the exponent of the back-off. */
  readonly trips: number;
  /** How often it answered 429 since it answered a later request otherwise; see `isLimited`. */
  readonly limits: number;
  /** When it last answered 429; 0: never. */
  readonly limitedAt: number;
  /** No request goes to it before this time, since it answered 429; 0: any may. */
  readonly heldUntil: number;
  /** While it limits this mirror: the one request that it gets is under way, and counts as lost at this time; 0: none is. */
  readonly turnUntil: number;
  /** Moving averages; undefined until two paths in a row were measured. */
  readonly firstByteMs: number | undefined;
  readonly bytesPerSecond: number | undefined;
  /** The newest measurement of each, which waits for that of another path. */
  readonly samples: { readonly [average in Average]?: Sample };
  /** When an average last changed; 0: never. */
  readonly measuredAt: number;
}

type Average = "firstByteMs" | "bytesPerSecond";

interface Sample {
  readonly path: string;
  readonly value: number;
}

interface Result {
  readonly path: string | undefined;
  readonly failed: boolean;
}

/** `path`: which file it is about; absent: none in particular, so that it speaks for the whole upstream. */
export type HealthEvent = (
  | /** Usable headers came, `firstByteMs` after the request. */
    { readonly kind: "answered"; readonly firstByteMs: number }
  /** The response ended whole. */
  | { readonly kind: "success" }
  /**
   * No response (`isSilent`), an error of the server, or a body that broke (`isBody`). `random` from [0, 1) spreads the next probes.
   */
  | { readonly kind: "failure"; readonly random: number; readonly isSilent?: boolean; readonly isBody?: boolean }
  /** 429: the upstream limits this mirror (RFC 6585 §4). `seconds`: its Retry-After; undefined: it sent none. */
  | { readonly kind: "limited"; readonly seconds: number | undefined }
  /** The one request that may try an upstream whose breaker is open, or that limits this mirror, starts; after `limitMs` it counts as lost. */
  | { readonly kind: "probe"; readonly limitMs: number }
  /** A body ended: its bytes, and the milliseconds spent waiting for them. */
  | { readonly kind: "flow"; readonly bytes: number; readonly waitedMs: number }
) & { readonly path?: string };

/**
 * `ready`: ask it; `open`: the breaker keeps it last; `probe-due`: the next request tries it, alone; `held`: not to be asked now, since it limits this
 * mirror.
 */
export type Availability = "ready" | "probe-due" | "open" | "held";

/** Failures in a row, of as many paths, that open the breaker. */
const TRIP_FAILURES = 3;
/** Silence about one path is that path's own trouble while another one was answered no longer ago than this. */
const PROOF_MS = 30_000;
/** Results remembered; with at least RATE_SAMPLES of them, a share of TRIP_RATE failures opens the breaker too. */
const RECENT = 20;
const RATE_SAMPLES = 10;
const TRIP_RATE = 0.5;
const OPEN_BASE_MS = 5_000;
const OPEN_MAX_MS = 300_000;
/**
 * After a 429 no request goes to the upstream for one second, and twice as long after each further one, but never for longer than this or than its
 * Retry-After. A limit of an hour would keep every file away for an hour, though clients that ask directly, each with a limit of its own, have them all.
 */
const LIMITED_MAX_SECONDS = 10;
/** A limit of which no 429 was seen for so long is over. */
const LIMIT_LIFE_MS = 60_000;
/** Weight of the newest measurement. */
const SMOOTHING = 0.3;
/** A body with fewer bytes and less waiting than this says nothing about throughput. */
const FLOW_MIN_BYTES = 262_144;
const FLOW_MIN_MS = 1_000;
/** Older measurements are ignored, so that a slow upstream is tried again. */
const MEASUREMENT_LIFE_MS = 300_000;
/** An upstream is slow when SAMPLE_BYTES would take longer than both SLOW_MS and SLOW_FACTOR times the best upstream. */
const SLOW_MS = 2_000;
const SLOW_FACTOR = 3;
const SAMPLE_BYTES = 1_048_576;

export const NEW_HEALTH: Health = {
  failures: 0,
  failingSince: 0,
  succeededAt: 0,
  isBodyDoubted: false,
  recent: [],
  openUntil: 0,
  probing: false,
  trips: 0,
  limits: 0,
  limitedAt: 0,
  heldUntil: 0,
  turnUntil: 0,
  firstByteMs: undefined,
  bytesPerSecond: undefined,
  samples: {},
  measuredAt: 0,
};

/** The health after an event at `now`: all arithmetic of the breaker. */
export function updateHealth(health: Health, event: HealthEvent, now: number): Health {
  switch (event.kind) {
    case "answered": {
      const measured = { ...measure(health, now, "firstByteMs", event.firstByteMs, event.path), turnUntil: 0 };
      // A request that set out before the 429 says nothing of the limit.
      const unlimited = now - event.firstByteMs >= health.limitedAt ? { ...measured, limits: 0, heldUntil: 0 } : measured;
      return health.isBodyDoubted ? unlimited : { ...unlimited, openUntil: 0, probing: false };
    }
    case "success":
      return {
        ...health,
        failures: 0,
        failingSince: 0,
        succeededAt: now,
        isBodyDoubted: false,
        trips: 0,
        openUntil: 0,
        probing: false,
        recent: remember(health, { path: event.path, failed: false }),
      };
    case "failure": {
      const failing = {
        ...health,
        failingSince: health.failingSince || now,
        isBodyDoubted: health.isBodyDoubted || event.isBody === true,
        turnUntil: 0,
      };
      const isKnown = isFailingPath(health, event.path);
      const isProof = health.probing || (event.isSilent === true && elapsedMs(health.succeededAt, now) >= PROOF_MS);
      if (isKnown && !isProof) return failing;
      const recent = remember(health, { path: isKnown ? undefined : event.path, failed: true });
      return trip({ ...failing, failures: health.failures + 1, recent }, event.random, now);
    }
    case "limited": {
      const limits = isLimited(health, now) ? health.limits : 0;
      const seconds = Math.min(event.seconds ?? Infinity, 2 ** limits, LIMITED_MAX_SECONDS);
      return {
        ...health,
        failingSince: health.failingSince || now,
        probing: false,
        limits: limits + 1,
        limitedAt: now,
        heldUntil: now + seconds * 1000,
        turnUntil: 0,
      };
    }
    case "probe": {
      const turnUntil = isLimited(health, now) ? now + event.limitMs : 0;
      return health.openUntil === 0 ? { ...health, turnUntil } : { ...health, turnUntil, probing: true, openUntil: now + event.limitMs };
    }
    case "flow": {
      if (event.bytes < FLOW_MIN_BYTES && event.waitedMs < FLOW_MIN_MS) return health;
      return measure(health, now, "bytesPerSecond", (event.bytes * 1000) / Math.max(event.waitedMs, 1), event.path);
    }
  }
}

/** Whether the path is among those that have failed since the last success. */
function isFailingPath({ recent }: Health, path: string | undefined): boolean {
  const run = recent.slice(recent.findLastIndex(({ failed }) => !failed) + 1);
  return path !== undefined && run.some((result) => result.path === path);
}

/** One file that fails each time it is asked for is one failure, however often clients ask for it. */
function remember({ recent }: Health, result: Result): readonly Result[] {
  const others = result.path === undefined ? recent : recent.filter(({ path }) => path !== result.path);
  return [...others, result].slice(-RECENT);
}

function trip(health: Health, random: number, now: number): Health {
  // Requests that started before the breaker opened may still fail: only a failed probe lengthens the back-off.
  if (health.openUntil > now && !health.probing) return health;
  const failed = health.recent.filter((result) => result.failed).length;
  const often = health.recent.length >= RATE_SAMPLES && failed >= health.recent.length * TRIP_RATE;
  if (health.failures < TRIP_FAILURES && !often && !health.probing) return health;
  const trips = health.trips + 1;
  const backOffMs = Math.min(OPEN_BASE_MS * 2 ** (trips - 1), OPEN_MAX_MS);
  // With jitter, so that not all isolates probe at once.
  return { ...health, trips, probing: false, openUntil: now + Math.round(backOffMs * (0.5 + random / 2)) };
}

/** One file may be slow to come, on a server that is quick: of what two paths in a row took, the better counts. */
function measure(health: Health, now: number, average: Average, value: number, path: string | undefined): Health {
  const isFresh = elapsedMs(health.measuredAt, now) < MEASUREMENT_LIFE_MS;
  const { firstByteMs, bytesPerSecond, samples } = isFresh ? health : NEW_HEALTH;
  const last = samples[average];
  const known = { ...health, firstByteMs, bytesPerSecond, measuredAt: now };
  if (path !== undefined) {
    const sampled = { ...known, samples: { ...samples, [average]: { path, value } } };
    if (last === undefined || last.path === path) return sampled;
    const better = average === "firstByteMs" ? Math.min(value, last.value) : Math.max(value, last.value);
    return { ...sampled, [average]: smooth(known[average], better) };
  }
  return { ...known, samples, [average]: smooth(known[average], value) };
}

function smooth(before: number | undefined, value: number): number {
  return before === undefined ? value : before + SMOOTHING * (value - before);
}

/** Whether the upstream limits this mirror (429), so that it gets one request at a time. */
export function isLimited({ limits, limitedAt }: Health, now: number): boolean {
  return limits > 0 && elapsedMs(limitedAt, now) < LIMIT_LIFE_MS;
}

/** Whether to ask the upstream at `now`. */
export function availability(health: Health, now: number): Availability {
  if (Math.max(health.heldUntil, health.turnUntil) > now) return "held";
  if (health.openUntil === 0) return isLimited(health, now) ? "probe-due" : "ready";
  return health.openUntil > now ? "open" : "probe-due";
}

/** Expected milliseconds for the first SAMPLE_BYTES of a file; 0 where nothing is known, so that a new upstream is tried. */
function expectedMs(health: Health, now: number): number {
  if (elapsedMs(health.measuredAt, now) >= MEASUREMENT_LIFE_MS) return 0;
  return (health.firstByteMs ?? 0) + (health.bytesPerSecond ? (SAMPLE_BYTES * 1000) / health.bytesPerSecond : 0);
}

/**
 * Sorts `upstreams`, which come in the order of preference, into the order in which to ask them: first those that work at a fair speed, then those
 * much slower than the best, last those with an open breaker (asked when no other answered, so that a healed one works at once). Held ones are
 * left out. One whose probe is due keeps its place: a healed favourite would otherwise never be asked again.
 */
export function orderUpstreams<T>(upstreams: readonly T[], healthOf: (upstream: T) => Health, now: number): readonly T[] {
  const entries = upstreams
    .map((upstream) => ({ upstream, health: healthOf(upstream) }))
    .map((entry) => ({ ...entry, state: availability(entry.health, now), cost: expectedMs(entry.health, now) }));
  const usable = entries.filter((entry) => entry.state === "ready" || entry.state === "probe-due");
  const limit = Math.max(SLOW_MS, SLOW_FACTOR * Math.min(...usable.map((entry) => entry.cost)));
  return [
    ...usable.filter((entry) => entry.cost <= limit),
    ...usable.filter((entry) => entry.cost > limit).toSorted((a, b) => a.cost - b.cost),
    ...entries.filter((entry) => entry.state === "open").toSorted((a, b) => a.health.openUntil - b.health.openUntil),
  ].map((entry) => entry.upstream);
}
