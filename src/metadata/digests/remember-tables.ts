import { foldersAbove } from "../formats/repository-path.ts";
import type { Listed, LookUpTable } from "./table-directory.ts";

/** A listing is remembered for METADATA_TTL, but never longer than this. */
const MAX_REMEMBERED_MS = 60_000;
/** Paths that were asked for since a listing came. Beyond this the listing is forgotten, which costs a call. */
const MAX_ASKED = 10_000;

export interface RememberDependencies {
  /** Asks the directory of one mirror for its listing of all folders; null: it is too long to send. */
  readonly listings: (mirror: string) => Promise<readonly Listed[] | null>;
  /** Asks the directory about one path. */
  readonly lookUp: LookUpTable;
  readonly ttlMs: number;
  readonly now: () => number;
}

/** The listing of one mirror; `until` in milliseconds since the epoch, `asked`: paths that were answered from it. */
interface Remembered {
  readonly until: number;
  readonly byBase: ReadonlyMap<string, Listed>;
  readonly asked: Set<string>;
}

/**
 * Answers from the directory's listing of a moment ago, so that a cold package costs no call of its own. Asks the directory itself if the listing has no
 * table for the folder (one may be under way), or if a path is looked up twice (the table did not name it).
 */
export function rememberTables({ listings, lookUp, ttlMs, now }: RememberDependencies): LookUpTable {
  const memories = new Map<string, Remembered>();

  async function recall(mirror: string): Promise<Remembered | null> {
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
    const base = foldersAbove(path).find((folder) => memory?.byBase.has(folder));
    const found = memory?.byBase.get(base ?? "");
    if (memory === null || found === undefined || found.building || found.table === null) return lookUp(mirror, path, 0);
    if (memory.asked.size < MAX_ASKED) memory.asked.add(path);
    else memories.delete(mirror);
    return { ...found, remembered: true };
  };
}
