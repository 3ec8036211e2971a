import type { Listed, Lookup } from "./table-directory.ts";

/** A listing is remembered for METADATA_TTL, but never longer than this. */
const MAX_REMEMBERED_MS = 60_000;
/** Paths that were asked for since a listing came. Beyond this the listing is forgotten, which costs a call. */
const MAX_ASKED = 10_000;

/** Which digest table covers a path of a mirror (`TableDirectory.lookUp`). Rejects if the directory cannot be reached. */
export type LookUpTable = (mirror: string, path: string, waitMs: number) => Promise<Lookup>;

export interface RememberDependencies {
  /** Asks the directory of one mirror for its listing of all folders; null: it is too long to send. */
  readonly listings: (mirror: string) => Promise<readonly Listed[] | null>;
  /** Asks the directory about one path. */
  readonly lookUp: LookUpTable;
  readonly ttlMs: number;
  readonly now: () => number;
}

/** The listing of one mirror. */
interface Memory {
  /** Milliseconds since the epoch. */
  readonly until: number;
  readonly byBase: ReadonlyMap<string, Listed>;
  /** Paths that were answered from it. */
  readonly asked: Set<string>;
}

/**
 * Answers from the directory's listing of a moment ago, so that a cold package costs no call of its own. Only where that lists a table: a folder
 * without one may be getting it now. A caller that asks for the same path again doubts the answer, and gets the directory's own.
 */
export function rememberTables({ listings, lookUp, ttlMs, now }: RememberDependencies): LookUpTable {
  const memories = new Map<string, Memory>();

  async function recall(mirror: string): Promise<Memory | null> {
    const known = memories.get(mirror);
    if (known !== undefined && now() < known.until) return known;
    const listed = await listings(mirror);
    if (listed === null) return null;
    const byBase = new Map(listed.map((one) => [one.base, one]));
    const memory = { until: now() + Math.min(ttlMs, MAX_REMEMBERED_MS), byBase, asked: new Set<string>() };
    memories.set(mirror, memory);
    return memory;
  }

  return async (mirror, path, waitMs) => {
    const known = memories.get(mirror);
    if (waitMs > 0 || ttlMs === 0) return lookUp(mirror, path, waitMs);
    if (known?.asked.has(path) === true) {
      memories.delete(mirror);
      return lookUp(mirror, path, 0);
    }
    const memory = await recall(mirror);
    const found = memory === null ? undefined : nearest(path, memory.byBase);
    if (memory === null || found === undefined || found.building || found.table === null) return lookUp(mirror, path, 0);
    if (memory.asked.size < MAX_ASKED) memory.asked.add(path);
    else memories.delete(mirror);
    return { ...found, remembered: true };
  };
}

/** The listing of the nearest folder above the path. */
function nearest(path: string, byBase: ReadonlyMap<string, Listed>): Listed | undefined {
  for (let slash = path.lastIndexOf("/"); slash > 0; slash = path.lastIndexOf("/", slash - 1)) {
    const found = byBase.get(path.slice(0, slash));
    if (found !== undefined) return found;
  }
  return byBase.get("");
}
