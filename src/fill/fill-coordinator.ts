import { DurableObject, RpcTarget } from "cloudflare:workers";
import type { StoredObject } from "../store/stored-object.ts";
import type { UpstreamFailure } from "../upstream/upstream.ts";
import { createSignal } from "./signal.ts";
import { isHeld, NO_LEASES, RECENT_COMMIT_MS, reduceLeases, takeoverIn, type LeaseEvent, type LeaseState } from "./lease-state.ts";
import type { Claim, Followed, Leases } from "./leases.ts";

/**
 * The Durable Object named by an object's key: holds its leases in memory (a restart forgets them, which does no harm) and in storage only
 * whether a version of the object ever went bad.
 */
export class FillCoordinator extends DurableObject<unknown> {
  #state = NO_LEASES;
  readonly #changed = createSignal();
  #tainted = false;
  /** Versions that went bad, for readers that are in the middle of one: in memory, for that is as long as they read. */
  readonly #spoiled = new Set<string>();

  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env);
    void ctx.blockConcurrencyWhile(async () => {
      this.#tainted = (await ctx.storage.get("tainted")) === true;
    });
  }

  claim(slice: number, recheck: boolean, version?: string): ClaimAnswer {
    if (version !== undefined && this.#spoiled.has(version)) return { kind: "spoiled" };
    const now = Date.now();
    const recent = this.#state.committed;
    if (recheck && recent !== null && now - recent.at < RECENT_COMMIT_MS) return { kind: "stored" };
    const holder = crypto.randomUUID();
    this.#apply({ kind: "claim", holder, slice });
    if (this.#state.leases.get(slice)?.holder === holder) {
      return { kind: "lead", lease: new LeaseTarget((event) => this.#apply(event), holder), tainted: this.#tainted };
    }
    return { kind: "follow", object: this.#state.object, seen: this.#state.failures };
  }

  /** Waits (level-triggered, so that no wake-up is lost) until the slice is committed, free or failed; 10 s without progress make it free. */
  async follow(slice: number, seen: number, wantObject: boolean): Promise<Followed> {
    const since = Date.now();
    for (;;) {
      const now = Date.now();
      const { committed, failure, failures, object } = this.#state;
      if (failures > seen && failure !== null) return { kind: "failed", failure };
      // One that fits in a slice cannot be read before it is stored whole.
      if (wantObject && object?.sliceBytes !== undefined) return { kind: "described", object };
      if (committed !== null && committed.slice === slice && committed.at >= since) return { kind: "committed" };
      if (!isHeld(this.#state, slice, now)) return { kind: "free" };
      await this.#changed.wait(takeoverIn(this.#state, slice, now));
    }
  }

  async taint(version: string): Promise<void> {
    this.#spoiled.add(version);
    this.#tainted = true;
    await this.ctx.storage.put("tainted", true);
  }

  #apply(event: LeaseEvent): LeaseState {
    this.#state = reduceLeases(this.#state, event, Date.now());
    this.#changed.notify();
    return this.#state;
  }
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

/** The port to the coordinators. A coordinator that cannot be reached makes its caller a leader without a lease. */
export function createLeases(namespace: DurableObjectNamespace<FillCoordinator>, onError: (error: unknown) => void): Leases {
  const stubOf = (key: string) => namespace.get(namespace.idFromName(key));
  return {
    async claim(key, slice, { recheck, version }): Promise<Claim> {
      try {
        const stub = stubOf(key);
        const answer = await stub.claim(slice, recheck, version);
        if (answer.kind === "stored") return { kind: "stored" };
        if (answer.kind === "spoiled") return { kind: "spoiled" };
        if (answer.kind === "follow") {
          const { seen, object } = answer;
          const wait = async (want: { object: boolean }): Promise<Followed> => {
            try {
              return await stub.follow(slice, seen, want.object);
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
        await stubOf(key).taint(version);
      } catch (error) {
        onError(error);
      }
    },
  };
}

const NO_LEASE = { describe() {}, progress() {}, take: async () => true, commit() {}, fail: async () => {}, end() {} };
