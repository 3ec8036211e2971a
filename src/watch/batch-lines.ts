/** A batch is written when it has so many lines … */
const BATCH_LINES = 64;
/** … or so long after its first line. */
const BATCH_MS = 200;

/** What `batchLines` works with. Times are milliseconds. */
export interface BatchLinesDependencies {
  /** Writes one or more lines, without a line end after the last. */
  readonly write: (lines: string) => void;
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  /** Keeps the isolate alive until `work` has settled, also after the current request has ended. */
  readonly waitUntil: (work: Promise<unknown>) => void;
}

/** Returns a function that takes one line, and writes lines in batches: on one machine to write a single line costs half as much as the hit it reports. */
export function batchLines({ write, now, sleep, waitUntil }: BatchLinesDependencies): (line: string) => void {
  let lines: string[] = [];
  /** When the wait for this batch began; 0: it has not begun. */
  let armedAt = 0;

  function flush(): void {
    if (lines.length > 0) write(lines.join("\n"));
    lines = [];
    armedAt = 0;
  }

  return (line) => {
    lines.push(line);
    if (lines.length >= BATCH_LINES) return flush();
    // The request whose `waitUntil` kept the wait alive may have been ended by the runtime: then the batch waits for another one.
    const waited = now() - armedAt;
    // A clock that was set back ends the wait as well.
    if (waited >= 0 && waited < 2 * BATCH_MS) return;
    armedAt = now();
    waitUntil(sleep(BATCH_MS).then(flush));
  };
}
