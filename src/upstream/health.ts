/** What is known of one upstream, as plain data: it outlives requests, so it must hold no stream, signal or promise. */
export interface Health {
  /** Failures in a row. */
  readonly failures: number;
  /** The last outcomes, newest last: true for a failure. */
  readonly recent: readonly boolean[];
  /** The breaker is open until then (milliseconds); 0: closed. */
  readonly openUntil: number;
  /** A half-open probe is under way; it is taken for lost at `openUntil`. */
  readonly probing: boolean;
  /** Times the breaker opened since the last success: the exponent of the back-off. */
  readonly trips: number;
  /** The upstream asked not to be asked before then (Retry-After). */
  readonly heldUntil: number;
  /** Smoothed; undefined while not measured. */
  readonly firstByteMs: number | undefined;
  readonly bytesPerSecond: number | undefined;
  readonly measuredAt: number;
}

export type HealthEvent =
  /** Headers came. */
  | { readonly kind: "answered"; readonly firstByteMs: number }
  /** The answer was whole. */
  | { readonly kind: "success" }
  | { readonly kind: "failure"; readonly random: number }
  | { readonly kind: "retry-after"; readonly seconds: number }
  /** The one request that may try an open breaker goes out. */
  | { readonly kind: "probe"; readonly limitMs: number }
  | { readonly kind: "flow"; readonly bytes: number; readonly waitedMs: number };

export type Availability = "ready" | "probe-due" | "open" | "held";

const TRIP_FAILURES = 3;
const RECENT = 20;
const RATE_SAMPLES = 10;
const TRIP_RATE = 0.5;
const OPEN_BASE_MS = 5_000;
const OPEN_MAX_MS = 300_000;
/** An upstream that asks for more would be lost for a typing error. */
const HELD_MAX_SECONDS = 3_600;
/** Weight of the newest measurement. */
const SMOOTHING = 0.3;
/** Less says nothing of throughput. */
const FLOW_MIN_BYTES = 262_144;
const FLOW_MIN_MS = 1_000;
/** After this a slow upstream gets another chance. */
const MEASUREMENT_LIFE_MS = 300_000;
const SLOW_MS = 2_000;
const SLOW_FACTOR = 3;
const SAMPLE_BYTES = 1_048_576;

export const NEW_HEALTH: Health = {
  failures: 0,
  recent: [],
  openUntil: 0,
  probing: false,
  trips: 0,
  heldUntil: 0,
  firstByteMs: undefined,
  bytesPerSecond: undefined,
  measuredAt: 0,
};

/** The health after an event. Pure; the breaker's whole arithmetic. */
export function updateHealth(health: Health, event: HealthEvent, now: number): Health {
  switch (event.kind) {
    case "answered":
      return { ...measure(health, now, { firstByteMs: event.firstByteMs }), openUntil: 0, probing: false };
    case "success":
      return { ...health, failures: 0, trips: 0, openUntil: 0, probing: false, recent: remember(health, false) };
    case "failure":
      return trip({ ...health, failures: health.failures + 1, recent: remember(health, true) }, event.random, now);
    case "retry-after":
      return { ...health, probing: false, heldUntil: now + Math.min(event.seconds, HELD_MAX_SECONDS) * 1000 };
    case "probe":
      return { ...health, probing: true, openUntil: now + event.limitMs };
    case "flow": {
      if (event.bytes < FLOW_MIN_BYTES && event.waitedMs < FLOW_MIN_MS) return health;
      return measure(health, now, { bytesPerSecond: (event.bytes * 1000) / Math.max(event.waitedMs, 1) });
    }
  }
}

function remember(health: Health, failed: boolean): readonly boolean[] {
  return [...health.recent, failed].slice(-RECENT);
}

function trip(health: Health, random: number, now: number): Health {
  // Requests that set out before the breaker opened may fail after it: only the probe's failure lengthens the back-off.
  if (health.openUntil > now && !health.probing) return health;
  const failed = health.recent.filter(Boolean).length;
  const often = health.recent.length >= RATE_SAMPLES && failed >= health.recent.length * TRIP_RATE;
  if (health.failures < TRIP_FAILURES && !often && !health.probing) return health;
  const trips = health.trips + 1;
  const backOffMs = Math.min(OPEN_BASE_MS * 2 ** (trips - 1), OPEN_MAX_MS);
  // Jitter, or all isolates would probe at once.
  return { ...health, trips, probing: false, openUntil: now + backOffMs * (0.5 + random / 2) };
}

function measure(health: Health, now: number, value: { readonly firstByteMs: number } | { readonly bytesPerSecond: number }): Health {
  const known = now - health.measuredAt < MEASUREMENT_LIFE_MS ? health : NEW_HEALTH;
  const smooth = (old: number | undefined, sample: number): number => (old === undefined ? sample : old + SMOOTHING * (sample - old));
  return {
    ...health,
    firstByteMs: "firstByteMs" in value ? smooth(known.firstByteMs, value.firstByteMs) : known.firstByteMs,
    bytesPerSecond: "bytesPerSecond" in value ? smooth(known.bytesPerSecond, value.bytesPerSecond) : known.bytesPerSecond,
    measuredAt: now,
  };
}

export function availability(health: Health, now: number): Availability {
  if (health.heldUntil > now) return "held";
  if (health.openUntil === 0) return "ready";
  return health.openUntil > now ? "open" : "probe-due";
}

/** Expected milliseconds for a first mebibyte; 0 where nothing is known, which counts in the upstream's favour. */
function expectedMs(health: Health, now: number): number {
  if (now - health.measuredAt >= MEASUREMENT_LIFE_MS) return 0;
  return (health.firstByteMs ?? 0) + (health.bytesPerSecond ? (SAMPLE_BYTES * 1000) / health.bytesPerSecond : 0);
}

/**
 * The order in which to ask, from the order of preference: first what works at a fair speed, then what is much slower than the best, last what
 * an open breaker keeps out (asked only when nothing else answered: an origin that healed works at once). Held ones are left out.
 * One whose probe is due keeps its place, or a healed favourite would never be asked again.
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
