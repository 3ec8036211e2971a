import type { Listed, Lookup } from "./table-directory.ts";

/** A mirror's answer is remembered this long at most, whatever the TTL of its metadata. */
const MAX_REMEMBERED_MS = 60_000;
/** Paths asked for since: beyond this all is forgotten, which costs a call. */
const MAX_ASKED = 10_000;

export type LookUp = (mirror: string, path: string, waitMs: number) => Promise<Lookup>;

export interface RememberDependencies {
  /** Asks the directory of one mirror: what it lists of all folders, or null where that is too much to carry. */
  readonly listings: (mirror: string) => Promise<readonly Listed[] | null>;
  /** Asks the directory about one path. */
  readonly lookUp: LookUp;
  readonly ttlMs: number;
  readonly now: () => number;
}

interface Memory {
  readonly until: number;
  readonly byBase: ReadonlyMap<string, Listed>;
  readonly asked: Set<string>;
}

/**
 * Answers from what the directory listed a moment ago, so that a cold package costs no call of its own. Only where a table was listed: a folder
 * without one may be getting it now. Whoever asks for the same path again doubts that answer, and gets the directory's own.
 */
export function rememberTables({ listings, lookUp, ttlMs, now }: RememberDependencies): LookUp {
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
