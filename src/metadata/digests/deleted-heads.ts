import { isAhead } from "../../clock/elapsed.ts";
import type { KeptState } from "../ports/kept-state.ts";

/** A data centre that read a head just before its deletion may cache it so much later. */
const READ_MS = 2_000;
/** A repository that replaces stored packages again and again waits for so many lifetimes of a head in all. */
const MAX_LIFETIMES = 5;

const DELETED_KEY = "deleted:";

/** When heads of a root's packages were deleted last, and first since the root was published last. Milliseconds since the epoch. */
interface Deletion {
  readonly since: number;
  readonly at: number;
}

export interface DeletedHeadsDependencies {
  readonly kept: KeptState;
  readonly now: () => number;
  /** For how long data centres may serve a head without a read of the store; 0: none of them caches heads. */
  readonly headTtlMs: number;
}

export type DeletedHeads = ReturnType<typeof createDeletedHeads>;

/**
 * Remembers, over restarts, when heads of packages were deleted for a root that is about to be published: until their lifetime is over, other data centres
 * serve these packages as they were, and a client that had the new root would get packages of the old one (docs/decisions/0017-heads-outlive-their-deletion.md).
 */
export function createDeletedHeads({ kept, now, headTtlMs }: DeletedHeadsDependencies) {
  const lifetimeMs = headTtlMs + READ_MS;

  return {
    /** Whether any data centre caches heads. */
    areCached: headTtlMs > 0,
    /** Stored heads are about to be deleted, or were deleted just now. */
    note(root: string): void {
      const before = load(root);
      const isSameWait = before !== null && now() - before.at < 2 * lifetimeMs;
      kept.save(DELETED_KEY + root, JSON.stringify({ since: isSameWait ? before.since : now(), at: now() } satisfies Deletion));
    },
    /** From when on no data centre serves a deleted head, in milliseconds since the epoch; 0: none is to be waited for. */
    goneAt(root: string): number {
      const deletion = headTtlMs === 0 ? null : load(root);
      return deletion === null ? 0 : Math.min(deletion.at + lifetimeMs, deletion.since + MAX_LIFETIMES * lifetimeMs);
    },
    /** The root was published, or is no more. */
    forget: (root: string): void => kept.remove(DELETED_KEY + root),
  };

  /** Null also where a wrong clock wrote it: the wait would last until the clock gets there. */
  function load(root: string): Deletion | null {
    const text = kept.load(DELETED_KEY + root);
    const deletion = text === null ? null : (JSON.parse(text) as Deletion);
    return deletion === null || isAhead(deletion.at, now()) || isAhead(deletion.since, now()) ? null : deletion;
  }
}
