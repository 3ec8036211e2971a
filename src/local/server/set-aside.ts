import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { DAY_MS } from "../../http/units.ts";

/** What the Worker says it reads (src/watch/readings.ts). */
export type FileBeingRead = v.InferOutput<typeof ReadingSchema>;

/** What the Worker must not read for now, since it stood still over it. */
export type SetAside = v.InferOutput<typeof SetAsideSchema>;

const ReadingSchema = v.object({
  mirror: v.string(),
  base: v.string(),
  part: v.picklist(["root", "index"]),
  file: v.string(),
});

const SetAsideSchema = v.object({
  ...ReadingSchema.entries,
  /** When it was set aside last, in milliseconds since the epoch. */
  since: v.number(),
  /** When it may be read again. */
  until: v.number(),
});

const LineSchema = v.pipe(v.string(), v.parseJson(), v.object({ reading: v.nullable(ReadingSchema) }));
const FileSchema = v.pipe(v.string(), v.parseJson(), v.array(v.unknown()));

/** How the Worker's lines about what it reads begin. */
const LINE_START = '{"reading":';

/** What a line of the Worker's log says of what it reads: null for nothing; undefined: the line is about something else. */
export function parseReading(line: string): FileBeingRead | null | undefined {
  if (!line.startsWith(LINE_START)) return undefined;
  const parsed = v.safeParse(LineSchema, line);
  return parsed.success ? parsed.output.reading : undefined;
}

/** How long something is set aside the first time. Each time after it is twice as long, up to a day. */
const FIRST_MS = 10 * 60_000;

/** All that is known, with `reading` set aside at `now`. What ended more than a day ago, or is dated ahead by a wrong clock, is forgotten. */
function addSetAside(known: readonly SetAside[], reading: FileBeingRead, now: number): readonly SetAside[] {
  const isSame = (one: FileBeingRead): boolean => one.mirror === reading.mirror && one.base === reading.base && one.part === reading.part;
  const kept = stillKnown(known, now);
  const before = kept.find(isSame);
  const ms = before === undefined ? FIRST_MS : Math.min(2 * (before.until - before.since), DAY_MS);
  return [...kept.filter((one) => !isSame(one)), { ...reading, since: now, until: now + ms }];
}

function stillKnown(known: readonly SetAside[], now: number): readonly SetAside[] {
  return known.filter(({ since, until }) => since <= now && until - since <= DAY_MS && now - until < DAY_MS);
}

/**
 * What is set aside, kept in `<state>/set-aside.json` so that a restart of the server knows it. What of the file cannot be read is passed over; where it
 * cannot be written, the list is kept in memory.
 */
export function openSetAside(stateFolder: string) {
  const path = join(stateFolder, "set-aside.json");
  let known = load(path);
  return {
    /** What is to be passed to a Worker that starts at `now`, in milliseconds since the epoch. */
    list: (now: number): readonly SetAside[] => stillKnown(known, now),
    /** Sets something aside. Returns when it may be read again, in milliseconds since the epoch. */
    add(reading: FileBeingRead, now: number): number {
      known = addSetAside(known, reading, now);
      try {
        writeFileSync(`${path}.new`, `${JSON.stringify(known, null, 2)}\n`, { mode: 0o600 });
        renameSync(`${path}.new`, path);
      } catch {
        // A full disk: the list goes on in memory.
      }
      return known.at(-1)?.until ?? now;
    },
  };
}

function load(path: string): readonly SetAside[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return [];
  }
  const file = v.safeParse(FileSchema, text);
  if (!file.success) return [];
  return file.output.flatMap((entry) => {
    const parsed = v.safeParse(SetAsideSchema, entry);
    return parsed.success ? [parsed.output] : [];
  });
}
