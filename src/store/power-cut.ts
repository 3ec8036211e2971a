import * as v from "valibot";

/** Spans of time, in milliseconds since the epoch, in which files were written that a power cut may have spoiled, as the parent process noted them. */
const SPANS = v.array(v.tuple([v.number(), v.number()]));

/** Whether a file of that date (milliseconds since the epoch) may have other bytes than were written. */
export type IsSuspect = (modifiedAt: number) => boolean;

/** Reads what the parent process says of power cuts (src/local/server/flush.ts); null: there was none. */
export function suspectsOf(spans: unknown, now: () => number): IsSuspect | null {
  const parsed = v.safeParse(SPANS, spans);
  if (!parsed.success || parsed.output.length === 0) return null;
  // A clock that was set back may stand inside a span. What is written meanwhile would be suspect too, so that the span counts only once the clock is past it.
  return (modifiedAt) => parsed.output.some(([from, to]) => modifiedAt >= from && modifiedAt <= to && now() > to);
}
