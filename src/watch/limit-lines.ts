/** Lines of one kind in a minute. */
const MAX_OF_A_KIND = 20;
/** Kinds that count each for itself; all others count as one. */
const MAX_KINDS = 100;
const MINUTE_MS = 60_000;

/** What an isolate may write at most, of all kinds: so many lines when it starts, and never more than `MOST` at once … */
const FIRST = 20;
const MOST = 100;
/** … and so many for each request that it has answered, and each minute. */
const A_REQUEST = 0.25;
const A_MINUTE = 0.5;

/** What `limitLines` works with. */
export interface LineLimitDependencies {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Requests that this isolate has answered since it started; null: lines are limited by their kind alone. */
  readonly answers: (() => number) | null;
}

/**
 * Returns a function that writes lines by `write`, but at most 20 of a kind in a minute, and in all about one for four requests: where lines are billed, or
 * count against a limit of the day, an upstream that fails every request must not fill the log. The next line of its kind says how many were left out.
 */
export function limitLines<Level>(
  write: (level: Level, message: string) => void,
  { now, answers }: LineLimitDependencies,
): (level: Level, message: string) => void {
  const kinds = new Map<string, { began: number; lines: number; leftOut: number }>();
  let pool = answers === null ? Infinity : FIRST;
  let seen = { at: 0, answers: 0 };

  function refill(): void {
    if (answers === null) return;
    const at = now();
    // Not at the start: an isolate's clock stands still until its first request. A clock that was set back adds nothing.
    const minutes = seen.at === 0 ? 0 : Math.max(0, at - seen.at) / MINUTE_MS;
    pool = Math.min(MOST, pool + minutes * A_MINUTE + (answers() - seen.answers) * A_REQUEST);
    seen = { at, answers: answers() };
  }

  return (level, message) => {
    refill();
    const name = kindOf(message);
    const kind = kinds.has(name) || kinds.size < MAX_KINDS ? name : "";
    const counted = kinds.get(kind) ?? { began: now(), lines: 0, leftOut: 0 };
    kinds.set(kind, counted);
    if (Math.abs(now() - counted.began) >= MINUTE_MS) Object.assign(counted, { began: now(), lines: 0 });
    if (counted.lines >= MAX_OF_A_KIND || pool < 1) {
      counted.leftOut++;
      return;
    }
    const leftOut = counted.leftOut === 0 ? "" : ` (${counted.leftOut} lines like this one before it are not in the log)`;
    write(level, message + leftOut);
    counted.lines++;
    counted.leftOut = 0;
    pool--;
  };
}

/** The kind of an upstream's event, or the first words of a sentence without what may be a path, a host or a number. */
function kindOf(message: string): string {
  const [, event] = /^\{"kind":"(\w+)"/.exec(message) ?? [];
  return (
    event ??
    message
      .split(" ", 4)
      .filter((word) => /^[A-Za-z']+$/.test(word))
      .join(" ")
  );
}
