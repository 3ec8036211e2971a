/** A time further ahead of the clock than this was written by a wrong clock; clocks of two machines differ by less. */
const CLOCK_SKEW_MS = 60_000;

/** Times after this one were written while the clock was wrong. In milliseconds since the epoch. */
export function latestTime(now: number): number {
  return now + CLOCK_SKEW_MS;
}

/** Whether a time was written while the clock was wrong. Both in milliseconds since the epoch. */
export function isAhead(time: number, now: number): boolean {
  return time > latestTime(now);
}

/**
 * Milliseconds from `since` to `now`; Infinity where a wrong clock wrote `since`, so that what it dates is asked for or tried again, and not held until the
 * clock gets there.
 */
export function elapsedMs(since: number, now: number): number {
  return isAhead(since, now) ? Infinity : now - since;
}

/** `since`; `now` where a wrong clock wrote it: a wait that began then begins anew, and ends. */
export function restartIfAhead(since: number, now: number): number {
  return isAhead(since, now) ? now : since;
}
