import type { RequestRecord } from "./counters.ts";

/** What `createRecordSampler` works with. */
export interface RecordSamplerDependencies {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** From 0 up to, but not including, 1. */
  readonly random: () => number;
}

/** Lines that an isolate may write at once: `first` when it starts, `aMinute` more each minute, and never more than `most`. */
interface Allowance {
  readonly first: number;
  readonly aMinute: number;
  readonly most: number;
}

/** Beyond its allowance a kind of request writes one line of so many. */
const ONE_IN = 200;

/** Each kind has an allowance of its own, so that what is served hides no failure, nor a flood of refusals. */
const ALLOWANCES = {
  served: { first: 50, aMinute: 2, most: 200 },
  failed: { first: 50, aMinute: 1, most: 200 },
  refused: { first: 20, aMinute: 1, most: 100 },
} as const satisfies Record<string, Allowance>;

type Kind = keyof typeof ALLOWANCES;

/**
 * Returns a function that says how many requests the line of this one stands for: 1 within the allowance, 200 for one of two hundred beyond it, and 0 for
 * the others, which have no line. So the sum over the lines is about the number of requests, and an isolate writes some lines a minute, however many it answers.
 */
export function createRecordSampler({ now, random }: RecordSamplerDependencies): (record: RequestRecord) => number {
  const left = new Map<Kind, { lines: number; at: number }>();

  function take(kind: Kind): boolean {
    const { first, aMinute, most } = ALLOWANCES[kind];
    const before = left.get(kind) ?? { lines: first, at: now() };
    // A clock that was set back adds nothing.
    const lines = Math.min(most, before.lines + (Math.max(0, now() - before.at) / 60_000) * aMinute);
    left.set(kind, { lines: lines < 1 ? lines : lines - 1, at: now() });
    return lines >= 1;
  }

  return (record) => {
    if (take(kindOf(record))) return 1;
    return random() * ONE_IN < 1 ? ONE_IN : 0;
  };
}

/** A failure is an answer of 5xx, a body that was cut, or a stored copy that no upstream could confirm (RFC 9211 §2.4: a negative ttl). */
function kindOf({ status, cut, cache, turnedAway }: RequestRecord): Kind {
  if (turnedAway === true) return "refused";
  return status >= 500 || cut !== undefined || /; ttl=-/.test(cache ?? "") ? "failed" : "served";
}
