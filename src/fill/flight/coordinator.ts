import { elapsedMs } from "../../clock/elapsed.ts";
import { createSignal, type Signal } from "../../clock/signal.ts";
import { holds, isHeld, NO_LEASES, RECENT_COMMIT_MS, reduceLeases, takeoverIn, type LeaseEvent, type LeaseState } from "./lease-state.ts";
import type { Claim, ClaimOptions, Followed, FollowOptions } from "./leases.ts";

/** Above this number of objects a coordinator forgets those that no request fetches. */
const MAX_IDLE = 1_000;

/** No request reads a version for longer than this after it was given up. */
const GIVEN_UP_MS = 3_600_000;

/** What a coordinator knows of one object, in memory: a restart forgets it, which does no harm. */
interface Coordinated {
  state: LeaseState;
  readonly changed: Signal;
  /** Versions that went bad or were given up, with the time of that (ms): a reader may be in the middle of one. */
  readonly spoiled: Map<string, number>;
}

/** Keeps the leases of objects' slices, in memory. */
export class Coordinator {
  readonly #objects = new Map<string, Coordinated>();
  #forgetAbove = MAX_IDLE;
  /** Keys that ever had a version that went bad. */
  readonly tainted = new Set<string>();

  claimSlice(key: string, slice: number, { recheck, version }: ClaimOptions): Claim {
    const object = this.#objectOf(key);
    if (version !== undefined && isSpoiled(object, version)) return { kind: "spoiled" };
    if (recheck && isRecent(object.state, Date.now())) return { kind: "stored" };
    const lease = createLease(object);
    const isShared = object.state.leases.size > 0;
    if (lease.tell({ kind: "claim", slice })) return { kind: "lead", lease, tainted: this.tainted.has(key), isShared };
    return { kind: "follow", object: object.state.object, seen: object.state.failures };
  }

  /** Looks at the state after each change of it, so that no wake-up can be lost. */
  async follow(key: string, slice: number, { seen, wantObject }: FollowOptions): Promise<Followed> {
    const since = Date.now();
    const coordinated = this.#objectOf(key);
    for (;;) {
      const now = Date.now();
      const { state, changed } = coordinated;
      const { committed, failure, failures, object } = state;
      if (failures > seen && failure !== null) return { kind: "failed", failure };
      // An object that fits in one slice cannot be read before it is stored whole.
      if (wantObject && object?.sliceBytes !== undefined) return { kind: "described", object };
      if (committed !== null && committed.slice === slice && committed.at >= since) return { kind: "committed" };
      if (!isHeld(state, slice, now)) return { kind: "free" };
      await changed.wait(takeoverIn(state, slice, now));
    }
  }

  taint(key: string, version: string): void {
    const object = this.#objectOf(key);
    object.spoiled.set(version, Date.now());
    this.tainted.add(key);
    if (object.state.object?.version !== version) return;
    // Its leader goes on for its own readers. Who asks for the file now must neither join it nor wait for it.
    object.state = { ...object.state, leases: new Map(), object: null };
    object.changed.notify();
  }

  #objectOf(key: string): Coordinated {
    if (this.#objects.size > this.#forgetAbove) this.#forgetIdle();
    const known = this.#objects.get(key) ?? { state: NO_LEASES, changed: createSignal(), spoiled: new Map() };
    this.#objects.set(key, known);
    return known;
  }

  #forgetIdle(): void {
    const now = Date.now();
    for (const [key, object] of this.#objects) {
      const { state, spoiled } = object;
      for (const version of spoiled.keys()) isSpoiled(object, version);
      const isAtWork = [...state.leases.keys()].some((slice) => isHeld(state, slice, now));
      if (!isAtWork && spoiled.size === 0 && !isRecent(state, now)) this.#objects.delete(key);
    }
    // Where most are being fetched, a search at each claim would find nothing to forget.
    this.#forgetAbove = Math.max(MAX_IDLE, 2 * this.#objects.size);
  }
}

/** A near `SliceLease`: it answers at once. */
function createLease(object: Coordinated) {
  const holder = crypto.randomUUID();
  let described: string | undefined;
  const apply = (event: LeaseEvent): void => {
    object.state = reduceLeases(object.state, holder, event, Date.now());
    object.changed.notify();
  };
  return {
    tell(event: LeaseEvent): boolean {
      if (event.kind === "describe") described = event.object.version;
      if (event.kind === "claim" && described !== undefined && isSpoiled(object, described)) return false;
      apply(event);
      return event.kind !== "claim" || holds(object.state, holder, event.slice);
    },
    [Symbol.dispose]: () => apply({ kind: "release" }),
  };
}

/** Whether `version` was given up while requests may still read it; later it is forgotten. */
function isSpoiled({ spoiled }: Coordinated, version: string): boolean {
  const at = spoiled.get(version);
  if (at === undefined) return false;
  if (elapsedMs(at, Date.now()) < GIVEN_UP_MS) return true;
  spoiled.delete(version);
  return false;
}

function isRecent({ committed }: LeaseState, now: number): boolean {
  return committed !== null && elapsedMs(committed.at, now) < RECENT_COMMIT_MS;
}
