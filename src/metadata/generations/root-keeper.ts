import { sleep, within } from "../../clock/timer.ts";
import type { Config } from "../../config/config.ts";
import { DAY_MS } from "../../http/units.ts";
import type { RepositoryPlace } from "../../route/place.ts";
import type { UpstreamFailure } from "../../upstream/upstream.ts";
import type { Resolution } from "../ports/repositories.ts";
import type { Generation, StoredFile, UpstreamHold } from "../members/generation.ts";
import { createHeldGeneration, type HeldGenerationDependencies } from "./held-generation.ts";
import { isBelieved } from "./judge-root.ts";
import { createAdoptionLog } from "./adoption-log.ts";
import {
  aheadSince,
  blockingHolds,
  endHoldsOf,
  type HoldContext,
  isDoubt,
  mainHold,
  mergeSetbacks,
  pauseHolds,
  type Setback,
} from "./holds.ts";
import type { Mismatches } from "./mismatches.ts";
import type { Refreshed } from "./refresh-companions.ts";
import { standsAlone } from "./root-files.ts";
import { type Trial, type TrialDependencies, tryRoot } from "./try-root.ts";

/** If nothing is published and the signature does not fit its root, try again after this: a sync replaces both files within it. */
const MISMATCH_PAUSE_MS = 2_000;

export interface KeeperDependencies extends Omit<TrialDependencies, "place" | "held">, HeldGenerationDependencies {
  readonly limits: TrialDependencies["limits"] & Pick<Config, "doubtSeconds" | "metadataTtlSeconds" | "metadataWaitSeconds">;
  /** The held generation's files are kept for so long after an upstream confirmed it. */
  readonly retentionDays: number;
  readonly mismatches: Mismatches;
  /** Called after a generation was published. */
  readonly afterSwap: () => void;
}

type ObjectResolution = Extract<Resolution, { kind: "object" }>;
type NoGeneration = Exclude<Resolution, ObjectResolution>;

/** The held generation, as a request may use it now. */
export interface Held extends Pick<ObjectResolution, "state" | "detail" | "hold"> {
  readonly kind: "held";
  readonly generation: Generation;
  /** When an upstream last confirmed the generation, in milliseconds since the epoch. */
  readonly confirmedAt: number;
}

/** How the revalidation of a root ended: the published generation is current, or not, or there is none. */
type Revalidation = { readonly kind: "confirmed" } | { readonly kind: "trouble" } | NoGeneration;

export type RootKeeper = ReturnType<typeof createRootKeeper>;

/** Keeps one root current: at its expiry one conditional fetch for all requests together, and one swap when a whole new generation is there. */
export function createRootKeeper(deps: KeeperDependencies, place: RepositoryPlace) {
  const { limits, log, mirror, now, timer } = deps;
  const held = createHeldGeneration(deps, place.root);
  const { logHolds, logLacks } = createAdoptionLog(deps, place.root);
  /** When a try last found a root that does not parse while no generation was held; null: none did since the last swap. */
  let opaqueAt: number | null = null;
  let flight: Promise<Revalidation> | null = null;
  const ttlMs = limits.metadataTtlSeconds * 1000;
  const waitMs = limits.metadataWaitSeconds * 1000;

  return {
    /** The published generation as it is; null: none is. Asks no upstream. */
    held: (): Generation | null => held.generation,
    place,
    current,
    /** Forgets the generation, as if its root had never been there. */
    drop: (): void => held.drop(),
    askAgain,
    addCompanion,
    /** A client asked for a member of the held generation. `reason`: why it cannot be had; null: the client got it. */
    noteMember(path: string, reason: string | null): void {
      if (!held.noteMember(path, reason)) return;
      log(reason === null ? "info" : "warn", `${mirror.name}: ${reason ?? `${path} was missing and is there now`}`);
    },
  };

  /** Asks the upstreams for the root although it is fresh: something else says that it changed. Waits for the outcome as `current` does. */
  async function askAgain(): Promise<void> {
    flight ??= revalidate(false).finally(() => (flight = null));
    await within(flight, waitMs, () => null, timer);
  }

  /** Publishes a companion that came later than its root, the one with the key `rootKey`. Does nothing where another root is published by now. */
  function addCompanion(file: StoredFile, rootKey: string): void {
    const { generation } = held;
    if (generation?.root.key !== rootKey) return;
    held.setCompanions([...generation.companions.filter(({ path }) => path !== file.path), file]);
    log("info", `${mirror.name}: published ${file.path}, which came later than its root, from ${file.object.upstream}`);
    deps.afterSwap();
  }

  /** The published generation, once it is fresh or was revalidated. `lost`: a key that the store no longer has. */
  async function current(lost?: string): Promise<Held | NoGeneration> {
    const isLost = lost !== undefined && lost === held.generation?.root.key;
    const had = held.generation !== null;
    const known = isLost ? null : withinTtl();
    if (known !== null) return known;
    flight ??= revalidate(isLost).finally(() => (flight = null));
    // A sync that is known to be half-way is not worth a wait.
    if (held.generation !== null && !isLost && held.standing.halfWay) {
      return answerHeld("stale", held.standing.trouble ?? "a sync is under way");
    }
    const revalidation = await within(flight, waitMs, () => null, timer);
    if (revalidation === null) {
      const detail = `${place.root} did not arrive whole within ${limits.metadataWaitSeconds} s`;
      return held.generation === null ? { kind: "failure", status: 504, detail } : answerHeld("stale", detail);
    }
    if (held.generation !== null) {
      if (revalidation.kind === "confirmed") return answerHeld(had ? "revalidated" : "fetched");
      return answerHeld("stale", held.standing.trouble ?? "upstream could not confirm it");
    }
    return revalidation.kind === "confirmed" || revalidation.kind === "trouble" ? halfWayFailure() : revalidation;
  }

  /** What the last try came to, if that is less than a TTL ago. */
  function withinTtl(): Held | NoGeneration | null {
    const { generation, standing } = held;
    const isRecent = (at: number): boolean => now() - at < ttlMs;
    if (generation === null) return opaqueAt !== null && isRecent(opaqueAt) ? { kind: "opaque" } : null;
    if (standing.trouble === null) return isRecent(standing.confirmedAt) ? answerHeld("fresh") : null;
    return isRecent(standing.triedAt) ? answerHeld("stale", standing.trouble) : null;
  }

  function answerHeld(state: Held["state"], detail?: string): Held {
    const { generation, standing } = held;
    if (generation === null) throw new Error(`Cannot answer with the generation of ${place.root}: none is held`);
    const hold = standing.trouble === null ? null : mainHold(standing.holds, now());
    return {
      kind: "held",
      generation,
      state,
      confirmedAt: standing.confirmedAt,
      ...(detail === undefined ? {} : { detail }),
      ...(hold === null ? {} : { hold }),
    };
  }

  function halfWayFailure(): UpstreamFailure {
    const detail = held.standing.trouble ?? `${place.root} is half-way through a sync`;
    return { kind: "failure", status: 503, detail, retryAfterSeconds: Math.max(limits.metadataTtlSeconds, 1) };
  }

  /**
   * One try with each upstream in turn, until one confirms the held generation or gives a whole new one. `secondLook`: with nothing held that protects
   * clients, what no upstream has whole is taken as it is.
   */
  async function revalidate(isLost: boolean, secondLook?: { readonly patienceUntil: number }): Promise<Revalidation> {
    // Half of a request's wait: the first request, which has no held generation to fall back on, still gets its answer in time.
    const patienceUntil = secondLook?.patienceUntil ?? now() + waitMs / 2;
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

  /** The held generation is current: confirmed as it is, or replaced by a new one. `setbacks`: what other upstreams showed before. */
  function settle(trial: Extract<Trial, { kind: "confirmed" | "adopted" }>, setbacks: readonly Setback[]): Revalidation {
    const seen = mergeSetbacks(held.standing.holds, setbacks, holdContext(null));
    if (trial.kind === "adopted") {
      const { generation, holes } = trial;
      const { upstream } = generation.root.object;
      opaqueAt = null;
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
      noteHolds(holds, () => held.confirm(trial.validators, holds));
      return { kind: "confirmed" };
    }
    held.saveValidators(trial.validators);
    noteHolds(holds, () =>
      held.noteFailedTry({
        trouble: blocking.map(({ reason }) => reason).join("; "),
        halfWay: blocking.some(({ kind }) => isSync(kind)),
        doubtSince: null,
        behindSince: aheadSince(blocking),
        holds,
      }),
    );
    return { kind: "trouble" };
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
  function drop(absent: Extract<Trial, { kind: "absent" }>): Revalidation {
    if (held.generation !== null) log("warn", `${mirror.name}: gave up ${place.root}: no upstream has had it for an hour`);
    held.drop();
    return absent;
  }

  /**
   * No parser can read what the upstreams have, and no generation that one could read is held or believed any more. It is published with its companions;
   * `generation` undefined: no generation can hold it, and the path is cached by itself.
   */
  function passOn(reason: string, generation: Generation | undefined): Revalidation {
    const isNews = opaqueAt === null && (held.generation === null || held.generation.parsed !== null);
    if (isNews) log("warn", `${mirror.name}: ${place.root} is passed on as the upstream has it: ${reason}`);
    if (generation !== undefined) return settle({ kind: "adopted", generation, holes: [] }, []);
    if (held.generation !== null) held.drop();
    opaqueAt = now();
    return { kind: "opaque" };
  }

  /** No upstream confirmed the held generation or gave a new one. */
  function noteTrouble(setbacks: readonly Setback[]): Revalidation {
    const reachable = setbacks.filter(({ kind }) => kind !== "unreachable");
    const allDoubt = reachable.length > 0 && reachable.every(({ kind }) => isDoubt(kind));
    const doubtSince = allDoubt ? (held.standing.doubtSince ?? now()) : null;
    const holds = mergeSetbacks(held.standing.holds, setbacks, holdContext(doubtSince));
    noteHolds(holds, () =>
      held.noteFailedTry({
        trouble: setbacks.map(({ reason }) => reason).join("; "),
        halfWay: setbacks.some(({ kind }) => isSync(kind)),
        doubtSince,
        behindSince: aheadSince(holds),
        holds,
      }),
    );
    return { kind: "trouble" };
  }

  function holdContext(doubtSince: number | null): HoldContext {
    const { standing, generation } = held;
    const keptUntil = (standing.confirmedAt === 0 ? now() : standing.confirmedAt) + deps.retentionDays * DAY_MS;
    return { now: now(), syncMs: limits.doubtSeconds * 1000, doubtSince, validUntil: generation?.parsed?.validUntil, keptUntil };
  }

  /** Saves the holds by `save`, and logs which of them begin and end. */
  function noteHolds(holds: readonly UpstreamHold[], save: () => void): void {
    const before = held.standing.holds;
    save();
    logHolds(before, holds, { isTrouble: held.standing.trouble !== null, generation: held.generation });
  }
}

function isSync(kind: Setback["kind"]): boolean {
  return kind === "needed" || kind === "sync";
}
