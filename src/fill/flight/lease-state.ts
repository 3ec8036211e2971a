import { elapsedMs } from "../../clock/elapsed.ts";
import type { StoredObject } from "../../store/stored-object.ts";
import type { UpstreamFailure } from "../../upstream/upstream.ts";

/** Another request may take over a lease whose holder reported nothing for this long: longer than a slow origin pauses, shorter than a client waits. @internal */
export const TAKEOVER_MS = 10_000;
/** A claim this soon after a commit reads the store again first: the caller may have looked just before the commit. */
export const RECENT_COMMIT_MS = 10_000;

/** Who fetches which slice of one object. Plain data; every change goes through `reduceLeases`. */
export interface LeaseState {
  readonly leases: ReadonlyMap<number, Lease>;
  /** What the current leader learned of the object; gone with the last lease. */
  readonly object: StoredObject | null;
  readonly committed: { readonly slice: number; readonly at: number } | null;
  /** The latest failure and how many there were: it concerns a follower that saw fewer. */
  readonly failure: UpstreamFailure | null;
  readonly failures: number;
}

export interface Lease {
  readonly holder: string;
  readonly progressAt: number;
}

/** What a leader says to the coordinator. */
export type LeaseEvent =
  /** It wants to fetch this slice (too). */
  | { readonly kind: "claim"; readonly slice: number }
  | { readonly kind: "describe"; readonly object: StoredObject }
  | { readonly kind: "progress" }
  /** The slice can be read from the store. */
  | { readonly kind: "commit"; readonly slice: number }
  /** It gives up, and so should its followers. */
  | { readonly kind: "fail"; readonly failure: UpstreamFailure }
  | { readonly kind: "release" };

export const NO_LEASES: LeaseState = { leases: new Map(), object: null, committed: null, failure: null, failures: 0 };

/** Whether a request that makes progress fetches `slice`. */
export function isHeld(state: LeaseState, slice: number, now: number): boolean {
  return takeoverIn(state, slice, now) > 0;
}

/** Milliseconds until another request may take over the lease of `slice`; 0: it may now. */
export function takeoverIn(state: LeaseState, slice: number, now: number): number {
  const lease = state.leases.get(slice);
  return lease === undefined ? 0 : Math.max(0, TAKEOVER_MS - elapsedMs(lease.progressAt, now));
}

export function holds(state: LeaseState, holder: string, slice: number): boolean {
  return state.leases.get(slice)?.holder === holder;
}

/**
 * The state after an event of `holder` at `now` (ms). A claim is granted when no other request holds the slice; `holds` says whether it was. A holder
 * without a lease changes nothing, except that its commit is noted.
 */
export function reduceLeases(state: LeaseState, holder: string, event: LeaseEvent, now: number): LeaseState {
  switch (event.kind) {
    case "claim":
      if (isHeld(state, event.slice, now) && !holds(state, holder, event.slice)) return state;
      return { ...state, leases: new Map(state.leases).set(event.slice, { holder, progressAt: now }) };
    case "describe":
      return isHolder(state, holder) ? { ...state, object: event.object } : state;
    case "progress": {
      const renewed = (lease: Lease) => (lease.holder === holder ? { holder, progressAt: now } : lease);
      return { ...state, leases: new Map([...state.leases].map(([slice, lease]) => [slice, renewed(lease)])) };
    }
    case "commit": {
      const next = { ...state, committed: { slice: event.slice, at: now } };
      return holds(state, holder, event.slice) ? without(next, (slice) => slice === event.slice) : next;
    }
    case "fail":
      if (!isHolder(state, holder)) return state;
      return { ...releaseAll(state, holder), failure: event.failure, failures: state.failures + 1 };
    case "release":
      return releaseAll(state, holder);
  }
}

function isHolder(state: LeaseState, holder: string): boolean {
  return [...state.leases.values()].some((lease) => lease.holder === holder);
}

function releaseAll(state: LeaseState, holder: string): LeaseState {
  const next = without(state, (_slice, lease) => lease.holder === holder);
  return next.leases.size === 0 ? { ...next, object: null } : next;
}

function without(state: LeaseState, gone: (slice: number, lease: Lease) => boolean): LeaseState {
  return { ...state, leases: new Map([...state.leases].filter(([slice, lease]) => !gone(slice, lease))) };
}
