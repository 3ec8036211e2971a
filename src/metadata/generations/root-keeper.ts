import { sleep, within } from "../../clock/timer.ts";
import type { Config } from "../../config/config.ts";
import { DAY_MS } from "../../http/units.ts";
import type { RepositoryPlace } from "../../route/place.ts";
import type { UpstreamFailure } from "../../upstream/upstream.ts";
import type { Resolution } from "../ports/repositories.ts";
import type { Generation, StoredFile } from "../members/generation.ts";
import { createHeldGeneration, type HeldGenerationDependencies } from "./held-generation.ts";
import { isBelieved } from "./judge-root.ts";
import { type Rejection, type Trial, type TrialDependencies, tryRoot } from "./try-root.ts";

/** Trouble is logged as an error when the held Valid-Until is nearer than this: clients refuse the generation soon. */
const NEAR_EXPIRY_MS = DAY_MS;
/** If nothing is published and the signature does not fit its root, try again after this: a sync replaces both files within it. */
const MISMATCH_PAUSE_MS = 2_000;

export interface KeeperDependencies extends Omit<TrialDependencies, "place" | "held">, HeldGenerationDependencies {
  readonly limits: TrialDependencies["limits"] & Pick<Config, "metadataTtlSeconds" | "metadataWaitSeconds">;
  /** Called after a generation was published. */
  readonly afterSwap: () => void;
}

type ObjectResolution = Extract<Resolution, { kind: "object" }>;
type NoGeneration = Exclude<Resolution, ObjectResolution>;

/** The held generation, as a request may use it now. */
export interface Held extends Pick<ObjectResolution, "state" | "detail"> {
  readonly kind: "held";
  readonly generation: Generation;
  /** When an upstream last confirmed the generation, in milliseconds since the epoch. */
  readonly confirmedAt: number;
}

/** How the revalidation of a root ended: the published generation is current, or not, or there is none. */
type Revalidation = { readonly kind: "confirmed" } | { readonly kind: "trouble" } | NoGeneration;

/** Why the held generation was neither confirmed nor replaced by what an upstream has; `failed`: no usable answer, or an error here. */
type Setback = Rejection | { readonly kind: "failed"; readonly reason: string };

export type RootKeeper = ReturnType<typeof createRootKeeper>;

/** Keeps one root current: at its expiry one conditional fetch for all requests together, and one swap when a whole new generation is there. */
export function createRootKeeper(deps: KeeperDependencies, place: RepositoryPlace) {
  const { limits, log, mirror, now, timer } = deps;
  const held = createHeldGeneration(deps, place.root);
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
    return { kind: "held", generation, state, confirmedAt: standing.confirmedAt, ...(detail === undefined ? {} : { detail }) };
  }

  function halfWayFailure(): UpstreamFailure {
    const detail = held.standing.trouble ?? `${place.root} is half-way through a sync`;
    return { kind: "failure", status: 503, detail, retryAfterSeconds: Math.max(limits.metadataTtlSeconds, 1) };
  }

  /** One try with each upstream in turn, until one confirms the held generation or gives a whole new one. */
  async function revalidate(isLost: boolean, isSecondLook = false): Promise<Revalidation> {
    // Half of a request's wait: the first request, which has no held generation to fall back on, still gets its answer in time.
    const patienceUntil = now() + waitMs / 2;
    const avoid: string[] = [];
    const setbacks: Setback[] = [];
    try {
      while (avoid.length < mirror.upstreams.length) {
        const takesMismatch = isSecondLook || held.generation?.mismatched === true;
        const trial = await tryRoot({ ...deps, place, held }, { avoid, isLost, takesMismatch, patienceUntil });
        if (trial.kind === "confirmed" || trial.kind === "adopted") return settle(trial);
        if (trial.kind === "absent") {
          if (trial.status === 403 && held.generation !== null) {
            setbacks.push({ kind: "failed", reason: `the upstreams answer 403 for ${place.root}` });
            break;
          }
          const isLastWord = held.generation === null || isBelieved(now(), held.standing.doubtSince);
          if (isLastWord) return setbacks.length === 0 ? drop(trial) : noteTrouble(setbacks, avoid.length);
          setbacks.push({ kind: "doubt", reason: `no upstream has ${place.root} any more` });
          break;
        }
        if (trial.kind === "failure") {
          if (held.generation === null && setbacks.length === 0) return trial;
          setbacks.push({ kind: "failed", reason: trial.detail });
          break;
        }
        avoid.push(trial.upstream);
        setbacks.push(trial);
      }
      if (held.generation === null && !isSecondLook && setbacks.some(({ kind }) => kind === "mismatch")) {
        await sleep(MISMATCH_PAUSE_MS, timer);
        return await revalidate(isLost, true);
      }
    } catch (error) {
      setbacks.push({ kind: "failed", reason: error instanceof Error ? error.message : String(error) });
    }
    return noteTrouble(setbacks, avoid.length);
  }

  /** The held generation is current: confirmed as it is, or replaced by a new one. */
  function settle(trial: Extract<Trial, { kind: "confirmed" | "adopted" }>): Revalidation {
    if (trial.kind === "confirmed") {
      held.confirm(trial.validators);
    } else {
      opaqueAt = null;
      held.publish(trial.generation);
      log("info", `${mirror.name}: published a new generation of ${place.root} from ${trial.generation.root.object.upstream}`);
      deps.afterSwap();
    }
    return { kind: "confirmed" };
  }

  /** No upstream has the root, or none has had it for an hour. */
  function drop(absent: Extract<Trial, { kind: "absent" }>): Revalidation {
    if (held.generation !== null) log("warn", `${mirror.name}: gave up ${place.root}: no upstream has had it for an hour`);
    held.drop();
    return absent;
  }

  /** No upstream confirmed the held generation or gave a new one. `tried`: how many upstreams gave a root. */
  function noteTrouble(setbacks: readonly Setback[], tried: number): Revalidation {
    const count = (...kinds: readonly Setback["kind"][]): number => setbacks.filter(({ kind }) => kinds.includes(kind)).length;
    const { standing } = held;
    const trouble = setbacks.map(({ reason }) => reason).join("; ");
    const halfWay = count("half-way", "mismatch") > 0;
    const doubts = count("doubt", "mismatch");
    const doubtSince = doubts > 0 && doubts >= tried ? (standing.doubtSince ?? now()) : null;
    // An upstream that showed a newer root before is still ahead, even if it cannot be reached now.
    const behindSince = standing.behindSince ?? (count("refused", "half-way", "opaque") > 0 ? now() : null);
    held.noteFailedTry({ trouble, halfWay, doubtSince, behindSince });
    logTrouble(trouble);
    if (held.generation !== null || halfWay || count("unfit", "opaque") === 0) return { kind: "trouble" };
    opaqueAt = now();
    return { kind: "opaque" };
  }

  function logTrouble(trouble: string): void {
    const validUntil = held.generation?.parsed?.validUntil;
    const isNear = validUntil !== undefined && validUntil - now() < NEAR_EXPIRY_MS;
    const until = validUntil === undefined ? "" : `, valid until ${new Date(validUntil).toISOString()}`;
    const served = held.generation === null ? "nothing is published" : `the last generation is served${until}`;
    log(isNear ? "error" : "warn", `${mirror.name}: cannot adopt ${place.root}; ${served}: ${trouble}`);
  }
}
