import { elapsedMs } from "../clock/elapsed.ts";

/**
 * What this isolate knows of one upstream. It outlives requests, so it is plain data and holds no stream, signal or promise. Times are milliseconds
 * since the epoch.
 */
export interface Health {
  /** Failures in a row. */
  readonly failures: number;
  /** When it first failed, or asked to wait, since its last success; 0: it has not. */
  readonly failingSince: number;
  /** The last results, newest last: true for a failure. */
  readonly recent: readonly boolean[];
  /** The breaker is open until this time; 0: closed. */
  readonly openUntil: number;
  /** A probe of the open breaker is under way; without a result by `openUntil` it counts as lost. */
  readonly probing: boolean;
  /** How often the breaker opened since the last success: the exponent of the back-off. */
  readonly trips: number;
  /** The upstream's Retry-After ends at this time; 0: it sent none. */
  readonly heldUntil: number;
  /** Moving averages; undefined until measured. */
  readonly firstByteMs: number | undefined;
  readonly bytesPerSecond: number | undefined;
  /** When an average last changed; 0: never. */
  readonly measuredAt: number;
}

export type HealthEvent =
  /** Usable headers came, `firstByteMs` after the request. */
  | { readonly kind: "answered"; readonly firstByteMs: number }
  /** The response ended whole. */
  | { readonly kind: "success" }
  /** No response, an error of the server, or a body that broke. `random` from [0, 1) spreads the next probes. */
  | { readonly kind: "failure"; readonly random: number }
  | { readonly kind: "retry-after"; readonly seconds: number }
  /** The one request that may try an upstream whose breaker is open starts; without a result within `limitMs` it counts as lost. */
  | { readonly kind: "probe"; readonly limitMs: number }
  /** A body ended: its bytes, and the milliseconds spent waiting for them. */
  | { readonly kind: "flow"; readonly bytes: number; readonly waitedMs: number };

/**
 * `ready`: ask it; `open`: the breaker keeps it last; `probe-due`: the breaker's time is over, the next request tries it; `held`: not to be asked
 * before its Retry-After ends.
 */
export type Availability = "ready" | "probe-due" | "open" | "held";

/** Failures in a row that open the breaker. */
const TRIP_FAILURES = 3;
/** Results remembered; with at least RATE_SAMPLES of them, a share of TRIP_RATE failures opens the breaker too. */
const RECENT = 20;
const RATE_SAMPLES = 10;
const TRIP_RATE = 0.5;
const OPEN_BASE_MS = 5_000;
const OPEN_MAX_MS = 300_000;
/**
 * A longer Retry-After is cut to this. It came for one path, and keeps the upstream from being asked for any: clients that ask directly would have the other
 * files meanwhile, and this one as soon as the upstream works again.
 */
const HELD_MAX_SECONDS = 60;
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
  recent: [],
  openUntil: 0,
  probing: false,
  trips: 0,
  heldUntil: 0,
  firstByteMs: undefined,
  bytesPerSecond: undefined,
  measuredAt: 0,
};

/** The health after an event at `now`: all arithmetic of the breaker. */
export function updateHealth(health: Health, event: HealthEvent, now: number): Health {
  switch (event.kind) {
    case "answered":
      return { ...measure(health, now, "firstByteMs", event.firstByteMs), openUntil: 0, probing: false };
    case "success":
      return { ...health, failures: 0, failingSince: 0, trips: 0, openUntil: 0, probing: false, recent: remember(health, false) };
    case "failure":
      return trip(
        { ...health, failures: health.failures + 1, failingSince: health.failingSince || now, recent: remember(health, true) },
        event.random,
        now,
      );
    case "retry-after":
      return {
        ...health,
        failingSince: health.failingSince || now,
        probing: false,
        heldUntil: now + Math.min(event.seconds, HELD_MAX_SECONDS) * 1000,
      };
    case "probe":
      return { ...health, probing: true, openUntil: now + event.limitMs };
    case "flow": {
      if (event.bytes < FLOW_MIN_BYTES && event.waitedMs < FLOW_MIN_MS) return health;
      return measure(health, now, "bytesPerSecond", (event.bytes * 1000) / Math.max(event.waitedMs, 1));
    }
  }
}

function remember(health: Health, failed: boolean): readonly boolean[] {
  return [...health.recent, failed].slice(-RECENT);
}

function trip(health: Health, random: number, now: number): Health {
  // Requests that started before the breaker opened may still fail: only a failed probe lengthens the back-off.
  if (health.openUntil > now && !health.probing) return health;
  const failed = health.recent.filter(Boolean).length;
  const often = health.recent.length >= RATE_SAMPLES && failed >= health.recent.length * TRIP_RATE;
  if (health.failures < TRIP_FAILURES && !often && !health.probing) return health;
  const trips = health.trips + 1;
  const backOffMs = Math.min(OPEN_BASE_MS * 2 ** (trips - 1), OPEN_MAX_MS);
  // With jitter, so that not all isolates probe at once.
  return { ...health, trips, probing: false, openUntil: now + backOffMs * (0.5 + random / 2) };
}

function measure(health: Health, now: number, average: "firstByteMs" | "bytesPerSecond", sample: number): Health {
  const { firstByteMs, bytesPerSecond } = elapsedMs(health.measuredAt, now) < MEASUREMENT_LIFE_MS ? health : NEW_HEALTH;
  const old = { firstByteMs, bytesPerSecond };
  const before = old[average] ?? sample;
  return { ...health, ...old, [average]: before + SMOOTHING * (sample - before), measuredAt: now };
}

/** Whether to ask the upstream at `now`. */
export function availability(health: Health, now: number): Availability {
  if (health.heldUntil > now) return "held";
  if (health.openUntil === 0) return "ready";
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
