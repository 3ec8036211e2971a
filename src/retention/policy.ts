/**
 * Which objects are kept and which are evicted: pure rules. docs/retention.md has the reasons and the simulation.
 *
 * Above the budget LFUDA chooses (LFU with dynamic ageing, as squid's `heap LFUDA`): the object with the lowest key = uses + L goes first. L rises to the
 * key of each evicted object, so that new objects overtake those that were popular long ago. Size plays no part: a hit of a large object saves many bytes.
 */

/** A fill that would take the store above this share of the budget evicts first … @internal */
export const HIGH_SHARE = 0.95;
/** … down to this share, so that the next fills need not evict. @internal */
export const LOW_SHARE = 0.9;
/** An object above this share of the limit is large: others do not go for it until clients have asked for it twice. */
const LARGE_SHARE = 0.5;

/** Values of `held`, in the order of eviction. FREE: nothing protects the object. */
export const FREE = 0;
/** A published generation names the object: it is evicted after all FREE ones. */
export const LIVE = 1;
/** The operator pinned the object: it is never evicted. */
export const PINNED = 2;

/** An object that may be evicted. */
export interface Candidate {
  readonly key: string;
  readonly size: number;
  readonly held: number;
  /** LFUDA's key at its last use. */
  readonly priority: number;
  /** Milliseconds since the epoch. */
  readonly lastUsedAt: number;
}

/** LFUDA's key of an object when it is used; `uses` includes this use. */
export function priorityOf(uses: number, ageFactor: number): number {
  return uses + ageFactor;
}

/** L after this object was evicted. It never falls. */
export function raiseAge(ageFactor: number, evicted: Pick<Candidate, "priority">): number {
  return Math.max(ageFactor, evicted.priority);
}

/**
 * The order of eviction: FREE before LIVE, then by LFUDA's key, then what was used longest ago: where only a part of the uses is reported, many objects have the
 * key with which they came. Then by name, so that the order is total.
 */
export function compareCandidates(one: Candidate, other: Candidate): number {
  return (
    one.held - other.held ||
    one.priority - other.priority ||
    one.lastUsedAt - other.lastUsedAt ||
    (one.key < other.key ? -1 : one.key > other.key ? 1 : 0)
  );
}

/** The first candidates in the order of eviction whose sizes add up to `bytes`, or all if they do not. Never a pinned one. */
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

/** What counts against the budget, in bytes. */
export interface Holdings {
  /** Stored objects, and reservations of fills under way. */
  readonly live: number;
  /** Slices of evicted objects, kept a while for clients that still read them. */
  readonly dead: number;
}

/** Bytes of the largest object that can be stored at all: it fits once everything else was evicted. */
export function largestStorable(budget: number): number {
  return Math.floor(budget * LOW_SHARE);
}

/** Whether an object of `size` bytes may be stored at all. */
export function isStorableSize(size: number, budget: number): boolean {
  return size <= largestStorable(budget);
}

/**
 * Whether an object is so large that it could push out most of what is stored for one single use: where others would have to go for it, it is stored with its
 * second request (second-request.ts).
 */
export function isLarge(size: number, budget: number): boolean {
  return size > budget * LARGE_SHARE;
}

/** Whether `size` more bytes fit in the budget. */
export function hasRoom({ live, dead }: Holdings, size: number, budget: number): boolean {
  return bytesMissing({ live, dead }, size, budget) <= 0;
}

/** Bytes that are too many for `size` more to fit in the limit; 0 or less where they fit. */
export function bytesMissing({ live, dead }: Holdings, size: number, budget: number): number {
  return live + dead + size - budget;
}

/** Bytes of live objects to evict before `size` more are stored; 0 below the high mark. Dead slices do not count: they are deleted soon anyway. */
export function bytesToEvict({ live }: Holdings, size: number, budget: number): number {
  return live + size > budget * HIGH_SHARE ? live + size - budget * LOW_SHARE : 0;
}
