import { elapsedMs } from "../../clock/elapsed.ts";
import { type Listed, lookUpIn, type Lookup, type LookUpTables } from "./table-directory.ts";

/** A listing is remembered for METADATA_TTL, but never longer than this. */
const MAX_REMEMBERED_MS = 60_000;
/** An answer that a table of just now may have changed is from a listing of at most this long ago. */
export const RECENT_MS = 1_000;

export interface RememberDependencies {
  /** Asks the directory of one mirror for its listing of all folders; null: it is too long to send. */
  readonly listings: (mirror: string) => Promise<readonly Listed[] | null>;
  /** Asks the directory about one path; while a table is being built, it waits for that. */
  readonly lookUp: (mirror: string, path: string, waitMs: number) => Promise<Lookup>;
  readonly ttlMs: number;
  readonly now: () => number;
}

/** The listing of one mirror, when it came in milliseconds since the epoch, and how often this isolate had asked repositories of the mirror until then. */
interface Remembered {
  readonly at: number;
  readonly asked: number;
  readonly listings: readonly Listed[];
}

/**
 * Answers from the directory's listing of a moment ago, so that a cold file costs no call of its own. That of a path below no repository, or below one
 * whose table is being built, is from a listing of at most RECENT_MS ago.
 */
export function rememberTables({ listings, lookUp, ttlMs, now }: RememberDependencies) {
  const memories = new Map<string, Remembered>();
  const askedOf = new Map<string, number>();

  async function recall(mirror: string, maxAgeMs: number): Promise<Remembered | null> {
    const known = memories.get(mirror);
    const asked = askedOf.get(mirror) ?? 0;
    // A client that has just got a root asks for what it names within the second.
    const isBefore = maxAgeMs <= RECENT_MS && known?.asked !== asked;
    if (known !== undefined && !isBefore && elapsedMs(known.at, now()) < maxAgeMs) return known;
    const at = now();
    const listed = await listings(mirror);
    if (listed === null) return null;
    const memory = { at, asked, listings: listed };
    memories.set(mirror, memory);
    return memory;
  }

  const lookUpTables: LookUpTables = async (mirror, path, { waitMs = 0, maxAgeMs = Infinity }) => {
    if (waitMs > 0) return lookUp(mirror, path, waitMs);
    const mostMs = Math.min(ttlMs, MAX_REMEMBERED_MS, maxAgeMs);
    const memory = await recall(mirror, mostMs);
    if (memory === null) return lookUp(mirror, path, 0);
    const found = lookUpIn(memory.listings, path);
    if (found.base !== null && !found.building && !found.isLost) return found;
    const newer = await recall(mirror, Math.min(mostMs, RECENT_MS));
    return newer === null ? lookUp(mirror, path, 0) : lookUpIn(newer.listings, path);
  };

  return {
    lookUp: lookUpTables,
    /** A repository of this mirror has answered for its metadata: it may have announced a table. */
    noteAsked: (mirror: string): void => void askedOf.set(mirror, (askedOf.get(mirror) ?? 0) + 1),
  };
}
