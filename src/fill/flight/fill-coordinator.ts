import { DurableObject, RpcTarget } from "cloudflare:workers";
import { asRequest } from "../../clock/signal.ts";
import { systemTimer, type Timer, within } from "../../clock/timer.ts";
import { Coordinator } from "./coordinator.ts";
import type { LeaseEvent } from "./lease-state.ts";
import { type Placement, placeObject } from "../../place-object.ts";
import { ALONE, type ClaimOptions, type Followed, type FollowOptions, type Leases, type SliceLease } from "./leases.ts";
import { coordinatorName, type Region, REGIONS } from "./regions.ts";

const TAINT_PREFIX = "tainted:";

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

export interface LeasesOptions extends Pick<Placement, "jurisdiction"> {
  readonly onError: (error: unknown) => void;
  readonly isLocal?: boolean;
  /** Where this isolate runs, as far as it knows by now. Default: it is not known. */
  readonly region?: () => Region;
  readonly timer?: Timer;
}

/** A client may wait for it, and a coordinator at the other end of the world may hang: it then learns of the version when it answers again, or never. */
const TAINT_LIMIT_MS = 5_000;

/**
 * The coordinators as fills call them: those of the isolate's region, so that a cold miss need not ask around the world. Two regions may then fetch a file at one
 * moment, each once (docs/decisions/0020-coordinators-near-their-clients.md). In a jurisdiction there is one region, since all of them would lie there. A call
 * that fails goes to `onError`, and its caller goes on as if it were alone.
 */
export function createLeases(
  namespace: DurableObjectNamespace<FillCoordinator>,
  { onError, isLocal = false, jurisdiction, region = () => null, timer = systemTimer }: LeasesOptions,
): Leases {
  const local = isLocal ? createLocalLeases(() => placeObject(namespace, "local", {})) : null;
  const coordinatorIn = (key: string, at: Region): Leases =>
    placeObject(namespace, coordinatorName(key, at), { location: at ?? undefined, jurisdiction });
  const coordinatorOf = (key: string): Leases => local ?? coordinatorIn(key, jurisdiction === undefined ? region() : null);
  const regions = jurisdiction === undefined ? REGIONS : [null];

  /** A version that went bad must look good in no region, not in one that fetches the file for the first time either. */
  async function taint(key: string, version: string): Promise<void> {
    const all = local === null ? regions.map((at) => () => coordinatorIn(key, at)) : [() => local];
    const late = (): never => {
      throw new Error(`a coordinator has not noted within ${TAINT_LIMIT_MS} ms that a version of ${key} went bad`);
    };
    const note = async (coordinator: Leases): Promise<void> => coordinator.taint(key, version);
    await Promise.all(all.map((coordinator) => orElse(undefined, () => within(note(coordinator()), TAINT_LIMIT_MS, late, timer))));
  }

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
    taint,
  };
}
