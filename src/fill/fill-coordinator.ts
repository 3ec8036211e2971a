import { DurableObject, RpcTarget } from "cloudflare:workers";
import type { StoredObject } from "../store/stored-object.ts";
import type { UpstreamFailure } from "../upstream/upstream.ts";
import { createSignal, type Signal } from "./signal.ts";
import { isHeld, NO_LEASES, RECENT_COMMIT_MS, reduceLeases, takeoverIn, type LeaseEvent, type LeaseState } from "./lease-state.ts";
import type { Claim, Followed, Leases } from "./leases.ts";

const TAINT_PREFIX = "tainted:";
/** Objects that one coordinator knows of before it forgets those that nothing happens to. */
const MAX_IDLE = 1_000;

/** What a coordinator knows of one object, in memory: a restart forgets it, which does no harm. */
interface Coordinated {
  state: LeaseState;
  readonly changed: Signal;
  /** Versions that went bad, for readers that are in the middle of one. */
  readonly spoiled: Set<string>;
}

/**
 * The Durable Object that keeps the leases of an object's slices: one an object at the edge, on one machine a few for all (each costs a file).
 * In storage is only which objects ever had a version that went bad.
 */
export class FillCoordinator extends DurableObject<unknown> {
  readonly #objects = new Map<string, Coordinated>();
  readonly #tainted = new Set<string>();

  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env);
    void ctx.blockConcurrencyWhile(async () => {
      const tainted = await ctx.storage.list({ prefix: TAINT_PREFIX });
      for (const name of tainted.keys()) this.#tainted.add(name.slice(TAINT_PREFIX.length));
    });
  }

  claim(key: string, slice: number, recheck: boolean, version?: string): ClaimAnswer {
    const object = this.#objectOf(key);
    if (version !== undefined && object.spoiled.has(version)) return { kind: "spoiled" };
    if (recheck && isRecent(object.state, Date.now())) return { kind: "stored" };
    const holder = crypto.randomUUID();
    const { leases, object: described, failures } = change(object, { kind: "claim", holder, slice });
    if (leases.get(slice)?.holder !== holder) return { kind: "follow", object: described, seen: failures };
    return { kind: "lead", lease: new LeaseTarget((event) => change(object, event), holder), tainted: this.#tainted.has(key) };
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

  async taint(key: string, version: string): Promise<void> {
    this.#objectOf(key).spoiled.add(version);
    this.#tainted.add(key);
    await this.ctx.storage.put(TAINT_PREFIX + key, true);
  }

  #objectOf(key: string): Coordinated {
    if (this.#objects.size > MAX_IDLE) this.#forgetIdle();
    const known = this.#objects.get(key) ?? { state: NO_LEASES, changed: createSignal(), spoiled: new Set() };
    this.#objects.set(key, known);
    return known;
  }

  #forgetIdle(): void {
    const now = Date.now();
    for (const [key, { state, spoiled }] of this.#objects) {
      if (state.leases.size === 0 && spoiled.size === 0 && !isRecent(state, now)) this.#objects.delete(key);
    }
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

type ClaimAnswer =
  | { kind: "lead"; lease: LeaseTarget; tainted: boolean }
  | { kind: "stored" }
  | { kind: "spoiled" }
  | { kind: "follow"; object: StoredObject | null; seen: number };

/** Lives as long as the leader's request: the runtime disposes it when that ends, for whatever reason, and the lease ends with it. */
class LeaseTarget extends RpcTarget {
  readonly #apply: (event: LeaseEvent) => LeaseState;
  readonly #holder: string;

  constructor(apply: (event: LeaseEvent) => LeaseState, holder: string) {
    super();
    this.#apply = apply;
    this.#holder = holder;
  }

  describe(object: StoredObject): void {
    this.#apply({ kind: "describe", holder: this.#holder, object });
  }

  progress(bytes: number): void {
    this.#apply({ kind: "progress", holder: this.#holder, bytes });
  }

  take(slice: number): boolean {
    const holder = this.#holder;
    return this.#apply({ kind: "claim", holder, slice }).leases.get(slice)?.holder === holder;
  }

  commit(slice: number): void {
    this.#apply({ kind: "commit", holder: this.#holder, slice });
  }

  fail(failure: UpstreamFailure): void {
    this.#apply({ kind: "fail", holder: this.#holder, failure });
  }

  [Symbol.dispose](): void {
    this.#apply({ kind: "release", holder: this.#holder });
  }
}

export interface LeasesOptions {
  readonly onError: (error: unknown) => void;
  /** Coordinators for all objects together; absent: one for each. */
  readonly shards?: number;
}

/** The port to the coordinators. A coordinator that cannot be reached makes its caller a leader without a lease. */
export function createLeases(namespace: DurableObjectNamespace<FillCoordinator>, { onError, shards }: LeasesOptions): Leases {
  const nameOf = (key: string) => (shards === undefined ? key : `shard-${sumOf(key) % shards}`);
  const stubOf = (key: string) => namespace.get(namespace.idFromName(nameOf(key)));
  return {
    async claim(key, slice, { recheck, version }): Promise<Claim> {
      try {
        const stub = stubOf(key);
        const answer = await stub.claim(key, slice, recheck, version);
        if (answer.kind === "stored") return { kind: "stored" };
        if (answer.kind === "spoiled") return { kind: "spoiled" };
        if (answer.kind === "follow") {
          const { seen, object } = answer;
          const wait = async (want: { object: boolean }): Promise<Followed> => {
            try {
              return await stub.follow(key, slice, seen, want.object);
            } catch (error) {
              onError(error);
              return { kind: "free" };
            }
          };
          return { kind: "follow", object, follower: { wait } };
        }
        const lease = answer.lease;
        const quietly = (call: Promise<unknown>) => void call.catch(onError);
        return {
          kind: "lead",
          tainted: answer.tainted,
          lease: {
            describe: (object) => quietly(lease.describe(object)),
            progress: (bytes) => quietly(lease.progress(bytes)),
            commit: (done) => quietly(lease.commit(done)),
            take: async (next) => {
              try {
                return await lease.take(next);
              } catch (error) {
                onError(error);
                return true;
              }
            },
            fail: async (failure) => {
              try {
                await lease.fail(failure);
              } catch (error) {
                onError(error);
              }
            },
            end: () => lease[Symbol.dispose](),
          },
        };
      } catch (error) {
        onError(error);
        return { kind: "lead", lease: NO_LEASE, tainted: false };
      }
    },
    async taint(key, version) {
      try {
        await stubOf(key).taint(key, version);
      } catch (error) {
        onError(error);
      }
    },
  };
}

const NO_LEASE = { describe() {}, progress() {}, take: async () => true, commit() {}, fail: async () => {}, end() {} };

/** Spreads keys evenly enough over a few coordinators. */
function sumOf(key: string): number {
  let sum = 0;
  for (let at = 0; at < key.length; at++) sum = (sum * 31 + key.charCodeAt(at)) >>> 0;
  return sum;
}
