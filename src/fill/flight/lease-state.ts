import type { StoredObject } from "../../store/stored-object.ts";
import type { UpstreamFailure } from "../../upstream/upstream.ts";

/** A lease whose holder reported nothing for this long may be taken over: long enough for a slow origin, short enough for a waiting client. */
export const TAKEOVER_MS = 10_000;
/** A claim this soon after a commit reads the store again first: its own look at the store may have been just too early. */
export const RECENT_COMMIT_MS = 10_000;

/** Who fetches which slice of one object. Plain data; every change goes through `reduceLeases`. */
export interface LeaseState {
  readonly leases: ReadonlyMap<number, Lease>;
  /** What the current leader learned of the object; gone with the last lease. */
  readonly object: StoredObject | null;
  readonly committed: { readonly slice: number; readonly at: number } | null;
  /** The latest failure and its number; a follower that saw a lower number is told. */
  readonly failure: UpstreamFailure | null;
  readonly failures: number;
}

export interface Lease {
  readonly holder: string;
  readonly progressAt: number;
  /** Bytes of the slice that the leader has so far. */
  readonly bytes: number;
}

export type LeaseEvent =
  | { readonly kind: "claim"; readonly holder: string; readonly slice: number }
  | { readonly kind: "describe"; readonly holder: string; readonly object: StoredObject }
  | { readonly kind: "progress"; readonly holder: string; readonly bytes: number }
  | { readonly kind: "commit"; readonly holder: string; readonly slice: number }
  | { readonly kind: "fail"; readonly holder: string; readonly failure: UpstreamFailure }
  | { readonly kind: "release"; readonly holder: string };

export const NO_LEASES: LeaseState = { leases: new Map(), object: null, committed: null, failure: null, failures: 0 };

/** Whether `slice` is being fetched by somebody who makes progress. */
export function isHeld(state: LeaseState, slice: number, now: number): boolean {
  const lease = state.leases.get(slice);
  return lease !== undefined && now - lease.progressAt < TAKEOVER_MS;
}

/** Milliseconds until the lease of `slice` may be taken over; 0 when it may be now. */
export function takeoverIn(state: LeaseState, slice: number, now: number): number {
  const lease = state.leases.get(slice);
  return lease === undefined ? 0 : Math.max(0, lease.progressAt + TAKEOVER_MS - now);
}

/**
 * The state after an event at `now` (ms). Events of holders that lost or never had a lease change nothing but a commit's mark: two leaders
 * may exist after a restart, and what both store is equal or refused by the store. A claim is granted when the slice is not held by another; the
 * caller sees the grant by comparing the lease's holder with itself.
 */
export function reduceLeases(state: LeaseState, event: LeaseEvent, now: number): LeaseState {
  switch (event.kind) {
    case "claim":
      if (isHeld(state, event.slice, now) && state.leases.get(event.slice)?.holder !== event.holder) return state;
      return { ...state, leases: new Map(state.leases).set(event.slice, { holder: event.holder, progressAt: now, bytes: 0 }) };
    case "describe":
      return holds(state, event.holder) ? { ...state, object: event.object } : state;
    case "progress":
      return mapLeases(state, event.holder, (lease) => ({ ...lease, progressAt: now, bytes: event.bytes }));
    case "commit": {
      const next = { ...state, committed: { slice: event.slice, at: now } };
      return state.leases.get(event.slice)?.holder === event.holder ? without(next, (slice) => slice === event.slice) : next;
    }
    case "fail":
      if (!holds(state, event.holder)) return state;
      return { ...release(state, event.holder), failure: event.failure, failures: state.failures + 1 };
    case "release":
      return release(state, event.holder);
  }
}

function holds(state: LeaseState, holder: string): boolean {
  return [...state.leases.values()].some((lease) => lease.holder === holder);
}

function release(state: LeaseState, holder: string): LeaseState {
  const next = without(state, (_slice, lease) => lease.holder === holder);
  return next.leases.size === 0 ? { ...next, object: null } : next;
}

function without(state: LeaseState, gone: (slice: number, lease: Lease) => boolean): LeaseState {
  return { ...state, leases: new Map([...state.leases].filter(([slice, lease]) => !gone(slice, lease))) };
}

function mapLeases(state: LeaseState, holder: string, change: (lease: Lease) => Lease): LeaseState {
  return {
    ...state,
    leases: new Map([...state.leases].map(([slice, lease]) => [slice, lease.holder === holder ? change(lease) : lease])),
  };
}
