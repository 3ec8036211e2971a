import { DurableObject, RpcTarget } from "cloudflare:workers";
import type { StoredObject } from "../../store/stored-object.ts";
import type { UpstreamFailure } from "../../upstream/upstream.ts";
import { Coordinator, type Decision } from "./coordinator.ts";
import type { LeaseEvent, LeaseState } from "./lease-state.ts";
import type { Claim, Followed, Leases } from "./leases.ts";

const TAINT_PREFIX = "tainted:";

/** The coordinator of one object's leases, as a Durable Object. In storage is only which objects ever had a version that went bad. */
export class FillCoordinator extends DurableObject<unknown> {
  readonly #coordinator = new Coordinator();

  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env);
    void ctx.blockConcurrencyWhile(async () => {
      const tainted = await ctx.storage.list({ prefix: TAINT_PREFIX });
      for (const name of tainted.keys()) this.#coordinator.tainted.add(name.slice(TAINT_PREFIX.length));
    });
  }

  claim(key: string, slice: number, recheck: boolean, version?: string): ClaimAnswer {
    return grant(this.#coordinator.claim(key, slice, recheck, version));
  }

  follow(key: string, slice: number, seen: number, wantObject: boolean): Promise<Followed> {
    return this.#coordinator.follow(key, slice, seen, wantObject);
  }

  async taint(key: string, version: string): Promise<void> {
    this.#coordinator.taint(key, version);
    await this.ctx.storage.put(TAINT_PREFIX + key, true);
  }

  /** All keys that it was told of. */
  tainted(): readonly string[] {
    return [...this.#coordinator.tainted];
  }
}

/** Held from afar it lives as long as the leader's request: the runtime disposes it when that ends, for whatever reason, and the lease ends with it. */
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

type ClaimAnswer = Exclude<Decision, { kind: "lead" }> | { readonly kind: "lead"; readonly lease: LeaseTarget; readonly tainted: boolean };

function grant(decision: Decision): ClaimAnswer {
  if (decision.kind !== "lead") return decision;
  const { apply, holder, tainted } = decision;
  return { kind: "lead", lease: new LeaseTarget(apply, holder), tainted };
}

type Stub = DurableObjectStub<FillCoordinator>;

/** A coordinator as it is called, near or far. */
interface CoordinatorPort {
  claim(...asked: Parameters<FillCoordinator["claim"]>): Promise<Exclude<ClaimAnswer, { kind: "lead" }> | Granted>;
  follow(...asked: Parameters<FillCoordinator["follow"]>): Promise<Followed>;
  taint(key: string, version: string): Promise<void>;
}

interface Granted {
  readonly kind: "lead";
  readonly lease: { [Method in keyof LeaseTarget]: LeaseTarget[Method] | Far<LeaseTarget[Method]> };
  readonly tainted: boolean;
}

type Far<Method> = Method extends (...given: infer Given) => infer Result ? (...given: Given) => Promise<Result> : never;

/**
 * On one machine one isolate answers everybody: its own memory coordinates, and a Durable Object only keeps what must outlive it. (A request
 * that the runtime drops without a word then holds its lease for the ten seconds after which it may be taken over.)
 */
function createLocalCoordinator(kept: () => Stub): CoordinatorPort {
  const coordinator = new Coordinator();
  let isLoaded = false;
  return {
    async claim(...asked) {
      if (!isLoaded) for (const key of await kept().tainted()) coordinator.tainted.add(key);
      isLoaded = true;
      return grant(coordinator.claim(...asked));
    },
    follow: (...asked) => coordinator.follow(...asked),
    async taint(key, version) {
      coordinator.taint(key, version);
      await kept().taint(key, version);
    },
  };
}

export interface LeasesOptions {
  readonly onError: (error: unknown) => void;
  /** Whether this isolate is the only one. */
  readonly isLocal?: boolean;
}

/** The port to the coordinators. A coordinator that cannot be reached makes its caller a leader without a lease. */
export function createLeases(namespace: DurableObjectNamespace<FillCoordinator>, { onError, isLocal = false }: LeasesOptions): Leases {
  const named = (name: string): Stub => namespace.get(namespace.idFromName(name));
  const local = isLocal ? createLocalCoordinator(() => named("local")) : null;
  const coordinatorOf = (key: string): CoordinatorPort => local ?? named(key);
  const quietly = async (call: () => unknown): Promise<void> => {
    try {
      await call();
    } catch (error) {
      onError(error);
    }
  };
  return {
    async claim(key, slice, { recheck, version }): Promise<Claim> {
      try {
        const coordinator = coordinatorOf(key);
        const answer = await coordinator.claim(key, slice, recheck, version);
        if (answer.kind === "stored") return { kind: "stored" };
        if (answer.kind === "spoiled") return { kind: "spoiled" };
        if (answer.kind === "follow") {
          const { seen, object } = answer;
          const wait = async (want: { object: boolean }): Promise<Followed> => {
            try {
              return await coordinator.follow(key, slice, seen, want.object);
            } catch (error) {
              onError(error);
              return { kind: "free" };
            }
          };
          return { kind: "follow", object, follower: { wait } };
        }
        const lease = answer.lease;
        return {
          kind: "lead",
          tainted: answer.tainted,
          lease: {
            describe: (object) => void quietly(() => lease.describe(object)),
            progress: (bytes) => void quietly(() => lease.progress(bytes)),
            commit: (done) => void quietly(() => lease.commit(done)),
            take: async (next) => {
              try {
                return await lease.take(next);
              } catch (error) {
                onError(error);
                return true;
              }
            },
            fail: (failure) => quietly(() => lease.fail(failure)),
            end: () => void lease[Symbol.dispose](),
          },
        };
      } catch (error) {
        onError(error);
        return { kind: "lead", lease: NO_LEASE, tainted: false };
      }
    },
    taint: (key, version) => quietly(() => coordinatorOf(key).taint(key, version)),
  };
}

const NO_LEASE = { describe() {}, progress() {}, take: async () => true, commit() {}, fail: async () => {}, end() {} };
