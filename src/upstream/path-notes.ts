import { elapsedMs } from "../clock/elapsed.ts";

/** Files that are remembered; the oldest are forgotten. */
const REMEMBERED = 2_000;
/** A file with a longer name is not remembered: no real one has it, and a client could fill the memory with such names. */
const MAX_NAME = 1_000;
/** A note that was not renewed for so long has ended: the next one is the first of its kind. */
const RENEWED_MS = 3_600_000;

interface Note {
  /** When this was first noted, in milliseconds since the epoch. */
  readonly since: number;
  readonly notedAt: number;
  readonly until: number;
}

/**
 * What an upstream (configured URL) did with single files, without a word about its other files: plain data of one isolate, bounded in number and
 * length. Times are milliseconds since the epoch, 0 for never.
 */
export function createPathNotes(now: () => number) {
  const notes = new Map<string, Note>();
  const keyOf = (upstream: string, file: string): string => `${upstream} ${file}`;
  const noteOf = (upstream: string, file: string): Note | undefined => notes.get(keyOf(upstream, file));
  return {
    /** Notes it for `ms` milliseconds from now, or for longer where that was noted before. */
    note(upstream: string, file: string, ms: number): void {
      if (file.length > MAX_NAME) return;
      const before = noteOf(upstream, file);
      const since = before !== undefined && elapsedMs(before.notedAt, now()) < RENEWED_MS ? before.since : now();
      // To the end of the map's order: its first entry is the oldest, which is forgotten first.
      notes.delete(keyOf(upstream, file));
      notes.set(keyOf(upstream, file), { since, notedAt: now(), until: Math.max(before?.until ?? 0, now() + ms) });
      const oldest = notes.size > REMEMBERED ? notes.keys().next().value : undefined;
      if (oldest !== undefined) notes.delete(oldest);
    },
    until: (upstream: string, file: string): number => noteOf(upstream, file)?.until ?? 0,
    since: (upstream: string, file: string): number => noteOf(upstream, file)?.since ?? 0,
    clear: (upstream: string, file: string): void => void notes.delete(keyOf(upstream, file)),
  };
}
