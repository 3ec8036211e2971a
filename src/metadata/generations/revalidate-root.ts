import { sleep } from "../../clock/timer.ts";
import type { Config } from "../../config/config.ts";
import type { RepositoryPlace } from "../../route/place.ts";
import { StoreError } from "../../store/object-store.ts";
import type { UpstreamFailure } from "../../upstream/upstream.ts";
import type { Generation } from "../members/generation.ts";
import type { HeldGeneration } from "./held-generation.ts";
import { isDoubt, isSync, type Setback } from "./holds.ts";
import { isBelieved } from "./judge-root.ts";
import { standsAlone } from "./root-files.ts";
import { describeSetAside, UNWATCHED } from "../../watch/readings.ts";
import { createSettlement, type Settled, type SettlementDependencies } from "./settle-round.ts";
import { type Trial, type TrialDependencies, type TrialOptions, tryRoot } from "./try-root.ts";

/** If nothing is published and the signature does not fit its root, try again after this: a sync replaces both files within it. */
const MISMATCH_PAUSE_MS = 2_000;

export interface RevalidationDependencies extends Omit<TrialDependencies, "place" | "held">, SettlementDependencies {
  readonly limits: TrialDependencies["limits"] & Pick<Config, "doubtSeconds" | "metadataWaitSeconds">;
}

/** How the revalidation of a root ended; `failure`: nothing is published, and no upstream gave a usable answer. */
export type Revalidation = Settled | UpstreamFailure;

/** What the upstreams showed in one round in which none of them settled the matter. */
interface Round {
  readonly setbacks: Setback[];
  /** Roots that no parser can read, with the generations that they would be, or that no generation can hold. */
  readonly unreadable: (Setback & { readonly generation?: Generation })[];
  /** The first upstream that has the held root, where another one may have a better root. */
  confirmed: Extract<Trial, { kind: "confirmed" }> | null;
}

/** Asks the upstreams of one root whether the held generation is current, and publishes what is newer. */
export function createRevalidation(deps: RevalidationDependencies, place: RepositoryPlace, held: HeldGeneration) {
  const { limits, mirror, now, timer, readings = UNWATCHED } = deps;
  const settlement = createSettlement(deps, place, held);
  const { drop, noteTrouble, passOn, passUnkept, settle } = settlement;

  return {
    /**
     * When the last round found only what no generation can hold or the store does not take, in milliseconds since the epoch; null: what is published is what
     * it found, or it found nothing.
     */
    get opaqueAt(): number | null {
      return settlement.opaqueAt;
    },
    get isPassedOn(): boolean {
      return settlement.isPassedOn;
    },
    revalidate,
  };

  /**
   * One try with each upstream in turn, until one confirms the held generation or gives a whole new one. `secondLook`: with nothing held that protects
   * clients, what no upstream has whole is taken as it is.
   */
  async function revalidate(isLost: boolean, secondLook?: { readonly patienceUntil: number }): Promise<Revalidation> {
    // Half of a request's wait: the first request, which has no held generation to fall back on, still gets its answer in time.
    const patienceUntil = secondLook?.patienceUntil ?? now() + (limits.metadataWaitSeconds * 1000) / 2;
    const isDoubtOver = isBelieved(now(), held.standing.doubtSince);
    const aside = readings.setAside(mirror.name, place.base, "root");
    if (aside !== null) {
      const unreadable = [{ kind: "malformed", upstream: null, reason: describeSetAside(aside) } as const];
      return settleWithout({ setbacks: [], unreadable, confirmed: null }, isDoubtOver);
    }
    const takesMismatch = secondLook !== undefined || held.generation?.mismatched === true;
    const patience = { isDoubtOver, isOver: secondLook === undefined ? isOver : () => true };
    const round: Round = { setbacks: [], unreadable: [], confirmed: null };
    const { setbacks } = round;
    try {
      const settled = await askInTurn(round, { isLost, takesMismatch, patience, patienceUntil });
      if (settled !== null) return settled;
    } catch (error) {
      if (error instanceof StoreError) return passUnkept(error.message);
      setbacks.push({ kind: "unreachable", upstream: null, reason: error instanceof Error ? error.message : String(error) });
    }
    if (round.confirmed !== null) return settle(round.confirmed, []);
    if ((held.generation === null || isLost) && secondLook === undefined && setbacks.some(({ kind }) => isSync(kind))) {
      if (setbacks.some(({ kind }) => kind === "sync")) await sleep(MISMATCH_PAUSE_MS, timer);
      return revalidate(isLost, { patienceUntil });
    }
    return settleWithout(round, isDoubtOver);
  }

  /** Asks the upstreams in turn, and writes into `round` what they show. Null: none of them settled it. Throws StoreError. */
  async function askInTurn(round: Round, options: Omit<TrialOptions, "avoid">): Promise<Revalidation | null> {
    const isRetreat = held.generation?.retreated === true;
    const mayBeBettered = isUnreadHeld() || isRetreat;
    const avoid: string[] = [];
    while (avoid.length < mirror.upstreams.length) {
      const trial = await tryRoot({ ...deps, place, held }, { ...options, avoid });
      if (trial.kind === "adopted" || (trial.kind === "confirmed" && !mayBeBettered)) return settle(trial, round.setbacks);
      if (trial.kind === "absent" || trial.kind === "failure") {
        if (held.generation === null && avoid.length === 0) return trial.kind === "absent" ? drop(trial) : trial;
        // The next request, which has not passed the same mirrors, asks at once.
        if (trial.kind === "failure" && trial.isRing === true) return trial;
        round.setbacks.push(setbackOf(trial));
        return null;
      }
      avoid.push(trial.upstream);
      if (trial.kind === "confirmed") {
        // Another upstream may have a root that can be read, or the newer one that was given up while that upstream was away.
        round.confirmed ??= trial;
        if (trial.upstream !== held.generation?.root.object.upstream) held.endRetreat();
        continue;
      }
      const { kind, reason, upstream, generation, until } = trial;
      // The next generation is there, and only its time is to come: no other upstream is asked for one.
      if (kind === "cached") return noteTrouble([...round.setbacks, { kind, upstream, reason, ...(until === undefined ? {} : { until }) }]);
      if (kind !== "opaque" && kind !== "unfit") round.setbacks.push({ kind, upstream, reason });
      else round.unreadable.push({ kind: "malformed", upstream, reason, ...(generation === undefined ? {} : { generation }) });
    }
    return null;
  }

  /** No upstream has the held root or a new one that may be published: what they have is taken as it is, or what is held stays. */
  function settleWithout({ setbacks, unreadable }: Round, isDoubtOver: boolean): Revalidation {
    // Nothing that clients could use is held, or every reachable upstream has shown for an hour that it has nothing of the kind any more.
    const isLastWord =
      held.generation === null || isUnreadHeld() || (isDoubtOver && setbacks.every(({ kind }) => isDoubt(kind) || kind === "unreachable"));
    const opaque = unreadable.find(({ generation }) => generation !== undefined) ?? unreadable[0];
    if (isLastWord && opaque !== undefined) return passOn(opaque.reason, opaque.generation);
    const isGone = setbacks.length > 0 && setbacks.every(({ kind, upstream }) => kind === "gone" && upstream === null);
    if (isLastWord && isGone) return drop({ kind: "absent", status: 404 });
    return noteTrouble([...unreadable, ...setbacks]);
  }

  /** Whether a root is held that no client can read, although roots of its kind name other files. */
  function isUnreadHeld(): boolean {
    return held.generation?.parsed === null && !standsAlone(place);
  }

  /** Whether an upstream has held the generation back for as long as such a hold may. */
  function isOver(kind: "needed" | "sync", upstream: string): boolean {
    if (kind === "sync" && limits.doubtSeconds === 0) return true;
    return held.standing.holds.some((hold) => hold.kind === kind && hold.upstream === upstream && now() >= hold.until);
  }

  function setbackOf(trial: Extract<Trial, { kind: "absent" | "failure" }>): Setback {
    if (trial.kind === "failure") return { kind: "unreachable", upstream: null, reason: trial.detail };
    // One that may have it, or refuses to say, is no word that the root is gone.
    if (trial.status !== 403 && trial.unsure === undefined)
      return { kind: "gone", upstream: null, reason: `no upstream has ${place.root} any more` };
    const what = trial.status === 403 ? "the upstreams answer 403" : `some upstreams answer ${trial.status} and others not at all`;
    return { kind: "unreachable", upstream: null, reason: `${what} for ${place.root}` };
  }
}
