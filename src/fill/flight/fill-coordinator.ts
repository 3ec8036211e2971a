import { DurableObject, RpcTarget } from "cloudflare:workers";
import { asRequest } from "../../clock/signal.ts";
import { Coordinator } from "./coordinator.ts";
import type { LeaseEvent } from "./lease-state.ts";
import { ALONE, type ClaimOptions, type Followed, type FollowOptions, type Leases, type SliceLease } from "./leases.ts";

const TAINT_PREFIX = "tainted:";

/** How many coordinators there are at the edge. One for each key would be one for each name that a client makes up, and each takes storage. */
const COORDINATORS = 16;

/** The name of the Durable Object that coordinates the fills of a key: a key has the same one for ever, and shares it with others. @internal */
export function coordinatorName(key: string): string {
  // FNV-1a, over UTF-16 units.
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  return `flights-${(hash >>> 0) % COORDINATORS}`;
}

/** The coordinator of many objects' leases, as a Durable Object. Its storage holds only the keys of objects that ever had a version that went bad. */
export class FillCoordinator extends DurableObject<unknown> {
  readonly #coordinator = new Coordinator();

  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env);
    void ctx.blockConcurrencyWhile(async () => {
      const tainted = await ctx.storage.list({ prefix: TAINT_PREFIX });
      for (const name of tainted.keys()) this.#coordinator.tainted.add(name.slice(TAINT_PREFIX.length));
    });
  }

  /** Named apart from the call of version 0.1, which had other parameters: while a deployment rolls out, a call that does not fit is to fail. */
  claimSlice(key: string, slice: number, options: ClaimOptions) {
    const claim = asRequest(() => this.#coordinator.claimSlice(key, slice, options), this.#coordinator);
    return claim.kind === "lead" ? { ...claim, lease: new LeaseTarget(claim.lease, this.#coordinator) } : claim;
  }

  follow(key: string, slice: number, options: FollowOptions): Promise<Followed> {
    return asRequest(() => this.#coordinator.follow(key, slice, options), this.#coordinator);
  }

  async taint(key: string, version: string): Promise<void> {
    asRequest(() => this.#coordinator.taint(key, version), this.#coordinator);
    await this.ctx.storage.put(TAINT_PREFIX + key, true);
  }

  /** All keys that ever had a version that went bad. */
  tainted(): readonly string[] {
    return [...this.#coordinator.tainted];
  }
}

/** A lease for a leader in another isolate. The runtime disposes it when the leader's request ends, for whatever reason. */
class LeaseTarget extends RpcTarget implements SliceLease {
  readonly #lease: SliceLease;
  readonly #coordinator: object;

  constructor(lease: SliceLease, coordinator: object) {
    super();
    this.#lease = lease;
    this.#coordinator = coordinator;
  }

  tell(event: LeaseEvent): boolean | Promise<boolean> {
    return asRequest(() => this.#lease.tell(event), this.#coordinator);
  }

  [Symbol.dispose](): void {
    asRequest(() => this.#lease[Symbol.dispose](), this.#coordinator);
  }
}

/**
 * On one machine one isolate answers every request, and its own memory coordinates (docs/decisions/0004-one-isolate-on-one-machine.md). A Durable Object
 * keeps what must outlive a restart.
 */
function createLocalLeases(kept: () => DurableObjectStub<FillCoordinator>): Leases {
  const coordinator = new Coordinator();
  let isLoaded = false;
  return {
    async claimSlice(key, slice, options) {
      if (!isLoaded) for (const tainted of await kept().tainted()) coordinator.tainted.add(tainted);
      isLoaded = true;
      return coordinator.claimSlice(key, slice, options);
    },
    follow: (key, slice, options) => coordinator.follow(key, slice, options),
    async taint(key, version) {
      coordinator.taint(key, version);
      await kept().taint(key, version);
    },
  };
}

/** The coordinators as fills call them. A call that fails goes to `onError`, and its caller goes on as if it were alone. */
export function createLeases(
  namespace: DurableObjectNamespace<FillCoordinator>,
  { onError, isLocal = false }: { readonly onError: (error: unknown) => void; readonly isLocal?: boolean },
): Leases {
  const named = (name: string) => namespace.get(namespace.idFromName(name));
  const local = isLocal ? createLocalLeases(() => named("local")) : null;
  const coordinatorOf = (key: string): Leases => local ?? named(coordinatorName(key));

  async function orElse<T>(fallback: T, call: () => T | Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      onError(error);
      return fallback;
    }
  }

  return {
    async claimSlice(key, slice, options) {
      const claim = await orElse(ALONE, () => coordinatorOf(key).claimSlice(key, slice, options));
      if (claim.kind !== "lead") return claim;
      const { lease } = claim;
      const tell: SliceLease["tell"] = (event) => orElse(true, () => lease.tell(event));
      return { ...claim, lease: { tell, [Symbol.dispose]: () => lease[Symbol.dispose]() } };
    },
    follow: (key, slice, options) => orElse<Followed>({ kind: "free" }, () => coordinatorOf(key).follow(key, slice, options)),
    taint: (key, version) => orElse(undefined, () => coordinatorOf(key).taint(key, version)),
  };
}
