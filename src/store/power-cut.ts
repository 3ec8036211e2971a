import * as v from "valibot";

/** Spans of time, in milliseconds since the epoch, in which files were written that a power cut may have spoiled; of the machine's own server. */
const SPANS = v.array(v.tuple([v.number(), v.number()]));

/** Whether a file of that date (milliseconds since the epoch) may have other bytes than were written. */
export type IsSuspect = (modifiedAt: number) => boolean;

/** Reads what the machine's server says of power cuts (src/local/server/flush.ts); null: there was none. */
export function suspectsOf(spans: unknown, now: () => number): IsSuspect | null {
  const parsed = v.safeParse(SPANS, spans);
  if (!parsed.success || parsed.output.length === 0) return null;
  // While a clock that was set back is inside a span, what is written now looks as old.
  return (modifiedAt) => parsed.output.some(([from, to]) => modifiedAt >= from && modifiedAt <= to && now() > to);
}
