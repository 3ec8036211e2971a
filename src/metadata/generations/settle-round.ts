import { restartIfAhead } from "../../clock/elapsed.ts";
import type { Config } from "../../config/config.ts";
import { DAY_MS } from "../../http/units.ts";
import type { RepositoryPlace } from "../../route/place.ts";
import type { Generation, UpstreamHold } from "../members/generation.ts";
import { type AdoptionLogDependencies, createAdoptionLog } from "./adoption-log.ts";
import type { FailedTry, HeldGeneration } from "./held-generation.ts";
import { aheadSince, blockingHolds, endHoldsOf, type HoldContext, isDoubtShown, mergeSetbacks, pauseHolds, type Setback } from "./holds.ts";
import type { Mismatches } from "./mismatches.ts";
import { companionFiles } from "./root-files.ts";
import type { Refreshed } from "./refresh-companions.ts";
import type { Trial, TrialDependencies } from "./try-root.ts";

export interface SettlementDependencies extends AdoptionLogDependencies {
  readonly mirror: TrialDependencies["mirror"];
  readonly limits: Pick<Config, "doubtSeconds">;
  /** The held generation's files are kept for so long after an upstream confirmed it. */
  readonly retentionDays: number;
  readonly mismatches: Mismatches;
  /** Called after a generation was published. */
  readonly afterSwap: () => void;
  /** Called where the held generation is confirmed after another one was prepared that is not published now. */
  readonly noSwap: () => void;
}

/** What a round of tries came to: the published generation is current, or it is not, or none is published. */
export type Settled =
  | { readonly kind: "confirmed" }
  | { readonly kind: "trouble" }
  | { readonly kind: "opaque" }
  | Extract<Trial, { kind: "absent" }>;

/** Writes down what a round of tries came to: what is published from now on, what holds a newer root back, and since when. */
export function createSettlement(deps: SettlementDependencies, place: RepositoryPlace, held: HeldGeneration) {
  const { limits, log, mirror, now } = deps;
  const { logHolds, logLacks } = createAdoptionLog(deps, place.root);
  /** When a round last gave up the root for one that no generation can hold; null: none did since the last swap. */
  let opaqueAt: number | null = null;
  /** When the store last did not take what the upstream has, in milliseconds since the epoch; null: it took it, or no upstream has shown anything since. */
  let unkeptAt: number | null = null;

  return {
    get opaqueAt(): number | null {
      return unkeptAt ?? opaqueAt;
    },
    /** Whether clients get what the upstream has, since the store did not take it in the last round. */
    get isPassedOn(): boolean {
      return unkeptAt !== null;
    },
    passUnkept,
    settle,
    drop,
    passOn,
    noteTrouble,
  };

  /** The held generation is current: confirmed as it is, or replaced by a new one. `setbacks`: what other upstreams showed before. */
  function settle(trial: Extract<Trial, { kind: "confirmed" | "adopted" }>, setbacks: readonly Setback[]): Settled {
    unkeptAt = null;
    const seen = mergeSetbacks(held.standing.holds, setbacks, holdContext(null));
    if (trial.kind === "adopted") {
      const { generation, holes } = trial;
      const { upstream } = generation.root.object;
      opaqueAt = null;
      // The next sync has a wait of its own, and so has each companion that comes late.
      for (const path of [place.root, ...companionFiles(place, generation.root.path)]) deps.mismatches.end(path);
      const paused = pauseHolds(endHoldsOf(seen, upstream));
      noteHolds(paused, () => held.publish(generation, holes, paused));
      log("info", `${mirror.name}: published a new generation of ${place.root} from ${upstream}`);
      logLacks(holes, generation.parsed);
      deps.afterSwap();
      return { kind: "confirmed" };
    }
    renewCompanions(trial.refreshed);
    const holds = endHoldsOf(seen, trial.upstream);
    const order = mirror.upstreams.map(({ url }) => url);
    const blocking = blockingHolds(holds, trial.upstream, order, now());
    if (blocking.length === 0) {
      const wasPrepared = held.standing.holds.some(({ kind }) => kind === "cached");
      const others = holds.filter(({ kind }) => kind !== "cached");
      noteHolds(others, () => held.confirm(trial.validators, others));
      if (wasPrepared) deps.noSwap();
      return { kind: "confirmed" };
    }
    held.saveValidators(trial.validators);
    return noteFailedTry(blocking, { doubtSince: null, behindSince: aheadSince(blocking), holds });
  }

  /** The root stays, and its companions may have changed: it was signed anew, or they belong to a root that the upstream does not have yet. */
  function renewCompanions(refreshed: Refreshed | undefined): void {
    if (refreshed === undefined) return;
    const { files, changed, kind } = refreshed;
    if (kind === "mismatch" && !deps.mismatches.isOverdue(place.root)) return;
    if (changed.length > 0 || kind === "whole") deps.mismatches.end(place.root);
    if (files.every((file, index) => file === held.generation?.companions[index])) return;
    held.setCompanions(files);
    if (changed.length === 0) return;
    const what = kind === "whole" ? "which changed beside its root" : "which belong to another version of their root";
    log(kind === "whole" ? "info" : "warn", `${mirror.name}: published ${changed.join(", ")}, ${what}`);
    deps.afterSwap();
  }

  /** No upstream has the root, or none has had it for an hour. */
  function drop(absent: Extract<Trial, { kind: "absent" }>): Settled {
    if (held.generation !== null) log("warn", `${mirror.name}: gave up ${place.root}: no upstream has had it for an hour`);
    held.drop();
    return absent;
  }

  /**
   * No parser can read what the upstreams have, and no generation that one could read is held or believed any more. It is published with its companions;
   * `generation` undefined: no generation can hold it, and the path is cached by itself.
   */
  function passOn(reason: string, generation: Generation | undefined): Settled {
    const isNews = opaqueAt === null && (held.generation === null || held.generation.parsed !== null);
    if (isNews) log("warn", `${mirror.name}: ${place.root} is passed on as the upstream has it: ${reason}`);
    if (generation !== undefined) return settle({ kind: "adopted", generation, holes: [] }, []);
    if (held.generation !== null) held.drop();
    opaqueAt = now();
    return { kind: "opaque" };
  }

  /**
   * The store does not take the root that an upstream has, or what belongs to it, as on a full disk. The held generation stays, and clients get what the
   * upstream has, as if they had asked it, until the store takes it.
   */
  function passUnkept(reason: string): Settled {
    if (unkeptAt === null)
      log("warn", `${mirror.name}: ${place.root} is passed on as the upstream has it, since it cannot be stored: ${reason}`);
    unkeptAt = now();
    const { doubtSince, behindSince, holds } = held.standing;
    if (held.generation !== null) held.noteFailedTry({ trouble: reason, doubtSince, behindSince: behindSince ?? now(), holds });
    return { kind: "opaque" };
  }

  /** No upstream confirmed the held generation or gave a new one. */
  function noteTrouble(setbacks: readonly Setback[]): Settled {
    unkeptAt = null;
    const order = mirror.upstreams.map(({ url }) => url);
    const { doubtSince: before } = held.standing;
    // A root that is prepared has been believed: a doubt about it that began anew would last for ever.
    const isPrepared = setbacks.some(({ kind }) => kind === "cached");
    const isDoubted = isDoubtShown(setbacks, order) || (isPrepared && before !== null);
    const doubtSince = isDoubted ? restartIfAhead(before ?? now(), now()) : null;
    const holds = mergeSetbacks(held.standing.holds, setbacks, holdContext(doubtSince));
    return noteFailedTry(setbacks, { doubtSince, behindSince: aheadSince(holds), holds });
  }

  /** The held generation stays as it is. `why`: what holds a newer one back, as far as this round showed it. */
  function noteFailedTry(why: readonly Setback[], rest: Pick<FailedTry, "doubtSince" | "behindSince" | "holds">): Settled {
    const trouble = why.map(({ reason }) => reason).join("; ");
    noteHolds(rest.holds, () => held.noteFailedTry({ ...rest, trouble }));
    return { kind: "trouble" };
  }

  function holdContext(doubtSince: number | null): HoldContext {
    const { standing, generation } = held;
    const keptUntil = restartIfAhead(standing.confirmedAt === 0 ? now() : standing.confirmedAt, now()) + deps.retentionDays * DAY_MS;
    return { now: now(), syncMs: limits.doubtSeconds * 1000, doubtSince, validUntil: generation?.parsed?.validUntil, keptUntil };
  }

  /** Saves the holds by `save`, and logs which of them begin and end. */
  function noteHolds(holds: readonly UpstreamHold[], save: () => void): void {
    const before = held.standing.holds;
    save();
    logHolds(before, holds, { isTrouble: held.standing.trouble !== null, generation: held.generation });
  }
}
