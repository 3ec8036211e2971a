import type { StoredObject } from "../../store/stored-object.ts";
import { isHeld, NO_LEASES, RECENT_COMMIT_MS, reduceLeases, takeoverIn, type LeaseEvent, type LeaseState } from "./lease-state.ts";
import type { Followed } from "./leases.ts";
import { createSignal, type Signal } from "../shared/signal.ts";

/** Objects that one coordinator knows of before it forgets those that nothing happens to. */
const MAX_IDLE = 1_000;

/** What a coordinator knows of one object, in memory: a restart forgets it, which does no harm. */
interface Coordinated {
  state: LeaseState;
  readonly changed: Signal;
  /** Versions that went bad, for readers that are in the middle of one. */
  readonly spoiled: Set<string>;
}

/** Keeps the leases of objects' slices, in memory. */
export class Coordinator {
  readonly #objects = new Map<string, Coordinated>();
  #forgetAbove = MAX_IDLE;
  /** Keys that ever had a version that went bad. */
  readonly tainted = new Set<string>();

  claim(key: string, slice: number, recheck: boolean, version?: string): Decision {
    const object = this.#objectOf(key);
    if (version !== undefined && object.spoiled.has(version)) return { kind: "spoiled" };
    if (recheck && isRecent(object.state, Date.now())) return { kind: "stored" };
    const holder = crypto.randomUUID();
    const { leases, object: described, failures } = change(object, { kind: "claim", holder, slice });
    if (leases.get(slice)?.holder !== holder) return { kind: "follow", object: described, seen: failures };
    return { kind: "lead", apply: (event) => change(object, event), holder, tainted: this.tainted.has(key) };
  }

  /** Waits (level-triggered, so that no wake-up is lost) until the slice is committed, free or failed; 10 s without progress make it free. */
  async follow(key: string, slice: number, seen: number, wantObject: boolean): Promise<Followed> {
    const since = Date.now();
    const coordinated = this.#objectOf(key);
    for (;;) {
      const now = Date.now();
      const { state, changed } = coordinated;
      const { committed, failure, failures, object } = state;
      if (failures > seen && failure !== null) return { kind: "failed", failure };
      // One that fits in a slice cannot be read before it is stored whole.
      if (wantObject && object?.sliceBytes !== undefined) return { kind: "described", object };
      if (committed !== null && committed.slice === slice && committed.at >= since) return { kind: "committed" };
      if (!isHeld(state, slice, now)) return { kind: "free" };
      await changed.wait(takeoverIn(state, slice, now));
    }
  }

  taint(key: string, version: string): void {
    this.#objectOf(key).spoiled.add(version);
    this.tainted.add(key);
  }

  #objectOf(key: string): Coordinated {
    if (this.#objects.size > this.#forgetAbove) this.#forgetIdle();
    const known = this.#objects.get(key) ?? { state: NO_LEASES, changed: createSignal(), spoiled: new Set() };
    this.#objects.set(key, known);
    return known;
  }

  #forgetIdle(): void {
    const now = Date.now();
    for (const [key, { state, spoiled }] of this.#objects) {
      const isAtWork = [...state.leases.keys()].some((slice) => isHeld(state, slice, now));
      if (!isAtWork && spoiled.size === 0 && !isRecent(state, now)) this.#objects.delete(key);
    }
    // Where most are at work, looking through them at each claim would find nothing to forget.
    this.#forgetAbove = Math.max(MAX_IDLE, 2 * this.#objects.size);
  }
}

function change(object: Coordinated, event: LeaseEvent): LeaseState {
  object.state = reduceLeases(object.state, event, Date.now());
  object.changed.notify();
  return object.state;
}

function isRecent({ committed }: LeaseState, now: number): boolean {
  return committed !== null && now - committed.at < RECENT_COMMIT_MS;
}

export type Decision =
  | { readonly kind: "lead"; readonly apply: (event: LeaseEvent) => LeaseState; readonly holder: string; readonly tainted: boolean }
  | { readonly kind: "stored" }
  | { readonly kind: "spoiled" }
  | { readonly kind: "follow"; readonly object: StoredObject | null; readonly seen: number };
