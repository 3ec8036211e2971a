import { sleep } from "../../clock/timer.ts";
import type { Config } from "../../config/config.ts";
import type { RepositoryPlace } from "../../route/place.ts";
import type { UpstreamFailure } from "../../upstream/upstream.ts";
import type { Generation } from "../members/generation.ts";
import type { HeldGeneration } from "./held-generation.ts";
import { isDoubt, isSync, type Setback } from "./holds.ts";
import { isBelieved } from "./judge-root.ts";
import { standsAlone } from "./root-files.ts";
import { createSettlement, type Settled, type SettlementDependencies } from "./settle-round.ts";
import { type Trial, type TrialDependencies, tryRoot } from "./try-root.ts";

/** If nothing is published and the signature does not fit its root, try again after this: a sync replaces both files within it. */
const MISMATCH_PAUSE_MS = 2_000;

export interface RevalidationDependencies extends Omit<TrialDependencies, "place" | "held">, SettlementDependencies {
  readonly limits: TrialDependencies["limits"] & Pick<Config, "doubtSeconds" | "metadataWaitSeconds">;
}

/** How the revalidation of a root ended; `failure`: nothing is published, and no upstream gave a usable answer. */
export type Revalidation = Settled | UpstreamFailure;

/** Asks the upstreams of one root whether the held generation is current, and publishes what is newer. */
export function createRevalidation(deps: RevalidationDependencies, place: RepositoryPlace, held: HeldGeneration) {
  const { limits, mirror, now, timer } = deps;
  const settlement = createSettlement(deps, place, held);
  const { drop, noteTrouble, passOn, settle } = settlement;

  return {
    /** When the last round found only what no generation can hold, in milliseconds since the epoch; null: something is published, or nothing was found. */
    get opaqueAt(): number | null {
      return settlement.opaqueAt;
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
    const takesMismatch = secondLook !== undefined || held.generation?.mismatched === true;
    const patience = { isDoubtOver, isOver: secondLook === undefined ? isOver : () => true };
    const avoid: string[] = [];
    const setbacks: Setback[] = [];
    const unreadable: (Setback & { readonly generation?: Generation })[] = [];
    const isUnreadHeld = held.generation?.parsed === null && !standsAlone(place);
    const isRetreat = held.generation?.retreated === true;
    let confirmed: Extract<Trial, { kind: "confirmed" }> | null = null;
    try {
      while (avoid.length < mirror.upstreams.length) {
        const trial = await tryRoot({ ...deps, place, held }, { avoid, isLost, takesMismatch, patience, patienceUntil });
        if (trial.kind === "confirmed" && (isUnreadHeld || isRetreat)) {
          // Another upstream may have a root that can be read, or the newer one that was given up while that upstream was away.
          confirmed ??= trial;
          if (trial.upstream !== held.generation?.root.object.upstream) held.endRetreat();
          avoid.push(trial.upstream);
          continue;
        }
        if (trial.kind === "confirmed" || trial.kind === "adopted") return settle(trial, setbacks);
        if (trial.kind === "absent" || trial.kind === "failure") {
          if (held.generation === null && avoid.length === 0) return trial.kind === "absent" ? drop(trial) : trial;
          setbacks.push(setbackOf(trial));
          break;
        }
        const { kind, reason, upstream, generation } = trial;
        avoid.push(upstream);
        if (kind === "opaque" || kind === "unfit")
          unreadable.push({ kind: "malformed", upstream, reason, ...(generation === undefined ? {} : { generation }) });
        else setbacks.push({ kind, upstream, reason });
      }
    } catch (error) {
      setbacks.push({ kind: "unreachable", upstream: null, reason: error instanceof Error ? error.message : String(error) });
    }
    if (confirmed !== null) return settle(confirmed, []);
    if ((held.generation === null || isLost) && secondLook === undefined && setbacks.some(({ kind }) => isSync(kind))) {
      if (setbacks.some(({ kind }) => kind === "sync")) await sleep(MISMATCH_PAUSE_MS, timer);
      return revalidate(isLost, { patienceUntil });
    }
    // Nothing that clients could use is held, or every reachable upstream has shown for an hour that it has nothing of the kind any more.
    const isLastWord =
      held.generation === null || isUnreadHeld || (isDoubtOver && setbacks.every(({ kind }) => isDoubt(kind) || kind === "unreachable"));
    const opaque = unreadable.find(({ generation }) => generation !== undefined) ?? unreadable[0];
    if (isLastWord && opaque !== undefined) return passOn(opaque.reason, opaque.generation);
    const isGone = setbacks.length > 0 && setbacks.every(({ kind, upstream }) => kind === "gone" && upstream === null);
    if (isLastWord && isGone) return drop({ kind: "absent", status: 404 });
    return noteTrouble([...unreadable, ...setbacks]);
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
