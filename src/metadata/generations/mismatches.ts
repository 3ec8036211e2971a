import { restartIfAhead } from "../../clock/elapsed.ts";
import type { KeptState } from "../ports/kept-state.ts";

/** Begins the key under which it is kept since when something has belonged to another version of its root. */
const SINCE = "late:";

export type Mismatches = ReturnType<typeof createMismatches>;

/**
 * Since when companions of published roots have belonged to other versions of them, across restarts. While a sync may be under way such a companion is held
 * back; after `doubtSeconds` clients get it as the upstream has it. Both are named by a path below the mirror.
 */
export function createMismatches(kept: KeptState, now: () => number, doubtSeconds: number) {
  return {
    /** Whether that has been so for long enough. The first call notes the time. */
    isOverdue(path: string): boolean {
      const known = kept.load(SINCE + path);
      const since = known === null ? now() : restartIfAhead(Number(known), now());
      if (String(since) !== known) kept.save(SINCE + path, String(since));
      return now() - since >= doubtSeconds * 1000;
    },
    end(path: string): void {
      kept.remove(SINCE + path);
    },
  };
}
