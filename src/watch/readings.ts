/** What of a repository is read: its root with the signatures, or the indexes of its packages. */
export type ReadingPart = "root" | "index";

/** A file of a repository that is being read. */
export interface FileBeingRead {
  readonly mirror: string;
  /** The folder that the repository's packages are relative to, below the mirror. */
  readonly base: string;
  readonly part: ReadingPart;
  /** Its path below the mirror. */
  readonly file: string;
}

/** What is not read for now, since the runtime stood still while it was read. Times are milliseconds since the epoch. */
export interface SetAside extends FileBeingRead {
  readonly since: number;
  readonly until: number;
}

/** Runs `read` with a breath that says, each time another file is read than before, which one it is. */
export type Watched = <T>(
  reading: FileBeingRead,
  breathe: () => Promise<void>,
  read: (breathe: () => Promise<void>) => Promise<T>,
) => Promise<T>;

/** What readers of upstreams' files need of a watchdog outside the runtime. */
export interface ReadingWatch {
  /** Why a part of a repository is not read for now; null: it may be read. */
  readonly setAside: (mirror: string, base: string, part: ReadingPart) => SetAside | null;
  readonly during: Watched;
}

/**
 * So many indexes of one mirror are read at the same time. Each of them takes turns of some 10 ms, between which requests wait for all the others, and up to
 * 70 MiB of memory. A mirror of which many are read does not hold up the others.
 */
const MAX_AT_ONCE = 2;
/** How often an index that waits looks whether it may be read, in milliseconds … */
const POLL_MS = 20;
/** … and how often at most, which is a minute: then it is read beside the others, one of which may never end. */
const MAX_POLLS = 3_000;

/** What `watchReadings` works with. */
export interface ReadingsDependencies {
  /** What the parent process set aside before it started this runtime. */
  readonly setAside: readonly SetAside[];
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Takes a line for the parent process. The line must have left the process when this returns. Null: no process watches. */
  readonly say: ((line: string) => void) | null;
  readonly sleep: (ms: number) => Promise<void>;
}

/**
 * Lets few indexes of a mirror be read at once, in the order in which they come, and says on the log channel which file is being read, so that the parent
 * process knows it when the runtime stands still: `{"reading":{…}}`, and `{"reading":null}` when nothing is read any more. Files that are read at the same
 * time take turns, and each change is a line.
 */
export function watchReadings({ setAside, now, say, sleep }: ReadingsDependencies): ReadingWatch {
  const open: FileBeingRead[] = [];
  const waiting: FileBeingRead[] = [];
  let said: FileBeingRead | null = null;

  function turnTo(reading: FileBeingRead | null): void {
    if (reading === said) return;
    said = reading;
    say?.(JSON.stringify({ reading }));
  }

  function isFree(own: FileBeingRead): boolean {
    const isOfMirror = ({ mirror, part }: FileBeingRead): boolean => mirror === own.mirror && part === "index";
    return own.part === "root" || (open.filter(isOfMirror).length < MAX_AT_ONCE && (waiting.find(isOfMirror) ?? own) === own);
  }

  /** Resolves when it is the reading's turn to begin. */
  async function queueUp(own: FileBeingRead): Promise<void> {
    waiting.push(own);
    for (let polls = 0; polls < MAX_POLLS && !isFree(own); polls++) await sleep(POLL_MS);
    waiting.splice(waiting.indexOf(own), 1);
  }

  return {
    setAside: (mirror, base, part) =>
      setAside.find((one) => one.mirror === mirror && one.base === base && one.part === part && now() < one.until) ?? null,
    async during(reading, breathe, read) {
      const own = { ...reading };
      if (!isFree(own)) await queueUp(own);
      open.push(own);
      turnTo(own);
      try {
        return await read(async () => {
          await breathe();
          turnTo(own);
        });
      } finally {
        open.splice(open.indexOf(own), 1);
        if (open.length === 0) turnTo(null);
      }
    },
  };
}

/** Nothing is set aside, nothing waits, and nothing is said. */
export const UNWATCHED: ReadingWatch = { setAside: () => null, during: (_reading, breathe, read) => read(breathe) };

/** Why something is not read for now, as a phrase. */
export function describeSetAside({ file, until }: SetAside): string {
  return `the runtime stood still while it read ${file}: it is not read again before ${new Date(until).toISOString()}`;
}
