import { closeSync, fsyncSync, openSync, readFileSync, renameSync, statSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import * as v from "valibot";

/** A flush may take this long. What is not on the disk by then stays suspect, and so does what was written while the flush ran. */
export const FLUSH_LIMIT_MS = 60_000;
/** A file's date may be a little older than the write: file systems date by the kernel's last tick, some in whole seconds. */
const MARGIN_MS = 5_000;

/** From and to when files were written that a power cut may have spoiled, in milliseconds since the epoch. */
const SPAN = v.tuple([v.number(), v.number()]);
export type Span = v.InferOutput<typeof SPAN>;

const FLUSH_NOTE = v.object({
  /** Names the run of the machine, until it is started again; null where the system does not say it. */
  boot: v.nullable(v.string()),
  /** Everything that was written before is on the disk, in milliseconds since the epoch. */
  flushedAt: v.number(),
  /** The server ended after everything was on the disk. */
  isEnded: v.boolean(),
  /** Of earlier power cuts. */
  suspects: v.array(SPAN),
});

/** What a server notes of the disk in the state folder, for the one after it. */
export type FlushNote = Readonly<v.InferOutput<typeof FLUSH_NOTE>>;

/** A damaged note. `damagedAt`, in milliseconds since the epoch, is the date of its file: a flush had just ended then. */
export interface DamagedNote {
  readonly damagedAt: number;
}

/** Reads the note; null where there is none. Throws what the disk throws. */
export function readFlushNote(path: string): FlushNote | DamagedNote | null {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), FLUSH_NOTE), text);
  return parsed.success ? parsed.output : { damagedAt: statSync(path).mtimeMs };
}

/** Replaces the note; a power cut leaves the old one or the new one. Throws what the disk throws. */
export function writeFlushNote(path: string, note: FlushNote): void {
  const draft = `${path}.new`;
  const file = openSync(draft, "w", 0o600);
  try {
    writeSync(file, `${JSON.stringify(note)}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(draft, path);
  const folder = openSync(dirname(path), "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/**
 * The note of a server that starts now, in the run `boot` of the machine. Where the machine went down before the last server had ended, all that this server
 * wrote after its last flush is suspect until `keptMs` have passed: by then the retention has deleted or confirmed it.
 */
export function beginNote(before: FlushNote | DamagedNote | null, boot: string | null, now: number, keptMs: number): FlushNote {
  if (before === null) return { boot, flushedAt: now, isEnded: false, suspects: [] };
  if ("damagedAt" in before) {
    return { boot, flushedAt: now, isEnded: false, suspects: [[Math.min(before.damagedAt - FLUSH_LIMIT_MS, now) - MARGIN_MS, now]] };
  }
  const isSameRun = boot !== null && before.boot === boot;
  const suspects = before.suspects.filter(([, to]) => now - to < keptMs);
  if (before.isEnded) return { boot, flushedAt: now, isEnded: false, suspects };
  // The kernel has all that a killed server wrote.
  if (isSameRun) return { ...before, suspects };
  return { boot, flushedAt: now, isEnded: false, suspects: [...suspects, [before.flushedAt - MARGIN_MS, now]] };
}
