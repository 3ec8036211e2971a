/** Lets everything else that waits for the event loop run before it resolves: a timer, not a promise that is settled already. */
export type Breathe = () => Promise<void>;

/**
 * What is done between two breaths, in units: one for each byte that is read or written. All isolates of a machine share one event loop, so that a long turn for one upstream's
 * file would stop the clients of all others. At some 10 to 100 MB a second a turn is 1 to 13 ms. @internal
 */
export const UNITS_PER_TURN = 128 * 1024;

/** Pays for work: what it returns is to be awaited before more is done. */
export type Pace = (units: number) => Promise<void> | undefined;

/** Counts work, and breathes each time that UNITS_PER_TURN are used up. */
export function createPace(breathe: Breathe): Pace {
  let left = UNITS_PER_TURN;
  return (units) => {
    left -= units;
    if (left > 0) return undefined;
    left = UNITS_PER_TURN;
    return breathe();
  };
}
