/**
 * What is kept and what goes: pure rules. docs/retention.md has the reasons and the simulation.
 *
 * Above the budget LFUDA chooses (LFU with dynamic ageing, as squid's `heap LFUDA`): key = uses + L. L rises to the key of each object that
 * is evicted, so that what was popular once is overtaken in time. Sizes play no part: a large object saves many bytes when it is hit.
 */

/** A fill that would take the store above this share of the budget makes room first … */
export const HIGH_SHARE = 0.95;
/** … down to this share, so that not every fill has to. */
export const LOW_SHARE = 0.9;
/** One object may take at most this share of the budget: a longer one would drive out everything else for one use. */
const OBJECT_SHARE = 0.5;

/** How an object is held back from eviction. */
export const FREE = 0;
/** A published generation names it: it goes after all others. */
export const LIVE = 1;
/** Pinned by the operator: it never goes by itself. */
export const PINNED = 2;

export interface Candidate {
  readonly key: string;
  readonly size: number;
  readonly held: number;
  /** LFUDA's key at its last use. */
  readonly priority: number;
}

/** LFUDA's key of an object at a use; `uses` counts this one. */
export function priorityOf(uses: number, ageFactor: number): number {
  return uses + ageFactor;
}

/** L after an eviction. It never falls. */
export function raiseAge(ageFactor: number, evicted: Pick<Candidate, "priority">): number {
  return Math.max(ageFactor, evicted.priority);
}

/** The order in which objects go: free before live, then by LFUDA's key, then by name, so that the order is total. */
export function compareCandidates(one: Candidate, other: Candidate): number {
  return one.held - other.held || one.priority - other.priority || (one.key < other.key ? -1 : one.key > other.key ? 1 : 0);
}

/** The first of `candidates` in order whose sizes come to `bytes`; all of them when they do not. Pinned ones never. */
export function chooseVictims<T extends Candidate>(candidates: readonly T[], bytes: number): readonly T[] {
  const victims: T[] = [];
  let freed = 0;
  for (const candidate of candidates.toSorted(compareCandidates)) {
    if (freed >= bytes || candidate.held >= PINNED) break;
    victims.push(candidate);
    freed += candidate.size;
  }
  return victims;
}

/** Bytes by kind, as the budget counts them. */
export interface Holdings {
  /** Objects that can be asked for, and reservations of fills under way. */
  readonly live: number;
  /** Slices that outlive their head for the sake of readers under way. */
  readonly dead: number;
}

/** Whether an object of this size could ever be stored. */
export function isStorableSize(size: number, budget: number): boolean {
  return size <= budget * OBJECT_SHARE;
}

/** Whether there is room for `size` more. */
export function hasRoom({ live, dead }: Holdings, size: number, budget: number): boolean {
  return live + dead + size <= budget;
}

/** Bytes of live objects to evict before `size` more are stored; 0 below the high mark. What is dead is on its way out already. */
export function bytesToEvict({ live }: Holdings, size: number, budget: number): number {
  return live + size > budget * HIGH_SHARE ? live + size - budget * LOW_SHARE : 0;
}

/** Whether an object's time has come at `now`. All times in milliseconds. The same second in which reading begins to take it for a miss. */
export function isPastAge(storedAt: number, now: number, retentionMs: number): boolean {
  return now - storedAt >= retentionMs;
}
