import { elapsedMs, isAhead } from "../../clock/elapsed.ts";
import { within } from "../../clock/timer.ts";
import type { Config } from "../../config/config.ts";
import type { RepositoryPlace } from "../../route/place.ts";
import type { UpstreamFailure } from "../../upstream/upstream.ts";
import type { Resolution } from "../ports/repositories.ts";
import type { Generation, StoredFile, UpstreamHold } from "../members/generation.ts";
import { createHeldGeneration, type HeldGenerationDependencies } from "./held-generation.ts";
import { isSync, mainHold } from "./holds.ts";
import { createRevalidation, type Revalidation, type RevalidationDependencies } from "./revalidate-root.ts";
import { showsOtherRoot } from "./try-root.ts";

export interface KeeperDependencies extends RevalidationDependencies, HeldGenerationDependencies {
  readonly limits: RevalidationDependencies["limits"] & Pick<Config, "metadataTtlSeconds">;
  /**
   * For how many milliseconds, at most, isolates may remember what the repository says: a deleted root is missed within it, and a root that is known to have
   * changed is asked for again then. 0: they remember nothing.
   */
  readonly rememberMs: number;
}

type ObjectResolution = Extract<Resolution, { kind: "object" }>;
type NoGeneration = Exclude<Resolution, ObjectResolution>;

/** The held generation, as a request may use it now. */
export interface Held extends Pick<ObjectResolution, "state" | "detail" | "hold"> {
  readonly kind: "held";
  readonly generation: Generation;
  /** When an upstream last confirmed the generation, in milliseconds since the epoch. */
  readonly confirmedAt: number;
  /** Until then this generation is held, unless the store loses its root; in milliseconds since the epoch. 0: that is not certain. */
  readonly heldUntil: number;
}

export type RootKeeper = ReturnType<typeof createRootKeeper>;

/** Keeps one root current: at its expiry one conditional fetch for all requests together, and one swap when a whole new generation is there. */
export function createRootKeeper(deps: KeeperDependencies, place: RepositoryPlace) {
  const { limits, log, mirror, now, timer } = deps;
  const held = createHeldGeneration(deps, place.root);
  const rounds = createRevalidation(deps, place, held);
  /** A round of tries under way, and when it began, in milliseconds since the epoch. */
  let flight: { readonly ended: Promise<Revalidation>; readonly since: number } | null = null;
  /** Something shows that the upstream has another root: freshness ends then, at the latest. In milliseconds since the epoch. */
  let expectedAt = Infinity;
  const ttlMs = limits.metadataTtlSeconds * 1000;
  const waitMs = limits.metadataWaitSeconds * 1000;

  return {
    /** The published generation as it is; null: none is. Asks no upstream. */
    held: (): Generation | null => held.generation,
    place,
    /** Why the last try did not end in a confirmed generation; null: it did. */
    trouble: (): string | null => held.standing.trouble,
    /** Whether clients get what the upstream has in place of the published generation, since the store does not take it. */
    isPassedOn: (): boolean => rounds.isPassedOn,
    current,
    /** Asks for the root now, however fresh the held one is, and waits for the round that does: what it came to. */
    async askNow(): Promise<Revalidation> {
      await flight?.ended;
      flight ??= begin(false);
      return flight.ended;
    },
    /** Whether the next generation is prepared and only waits for its time: what is published now gives way to it. */
    isNextPrepared,
    /** Whether it holds nothing and asks for nothing: another keeper would be no worse. */
    isIdle: (): boolean => held.generation === null && flight === null,
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

  /**
   * A companion came late, and nothing shows that it belongs to the held root; `isOther`: it does not. Where isolates may remember the held root, a new one is
   * not adopted before that time is over: no client is to see it while another one is still given the old. True where the upstream has a new one. Where none
   * may remember it, the upstreams are asked as `current` asks them.
   */
  async function askAgain(upstream: string, isOther: boolean): Promise<boolean> {
    if (deps.rememberMs === 0 || place.form !== undefined) await outcome(false);
    else if (isOther || (await showsOtherRoot({ ...deps, place, held }, upstream))) {
      expectedAt = Math.min(expectedAt, now() + deps.rememberMs);
      return true;
    }
    return false;
  }

  /** What the round under way comes to, or a new one. Null: it takes longer than METADATA_WAIT_SECONDS. `isLost`: nothing can be served before that. */
  async function outcome(isLost: boolean): Promise<Revalidation | null> {
    flight ??= begin(isLost);
    // A round that keeps one request waiting for so long does not keep each that comes after it waiting as long again.
    const waitedMs = held.generation === null || isLost ? 0 : Math.max(0, elapsedMs(flight.since, now()));
    return waitedMs > 0 && waitedMs >= waitMs ? null : within(flight.ended, waitMs - waitedMs, () => null, timer);
  }

  function begin(isLost: boolean): NonNullable<typeof flight> {
    expectedAt = Infinity;
    return { ended: rounds.revalidate(isLost).finally(() => (flight = null)), since: now() };
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
    flight ??= begin(isLost);
    const { trouble, holds } = held.standing;
    // What an upstream lacked a moment ago it mostly lacks still: that is not worth a wait.
    if (held.generation !== null && !isLost && trouble !== null && holds.some(({ kind, isShown }) => isShown && isSync(kind))) {
      return answerHeld("stale", trouble);
    }
    const revalidation = await outcome(isLost);
    if (revalidation === null) {
      const detail = `${place.root} did not arrive whole within ${limits.metadataWaitSeconds} s`;
      return held.generation === null ? { kind: "failure", status: 504, detail } : answerHeld("stale", detail);
    }
    if (revalidation.kind === "opaque") return revalidation;
    if (held.generation !== null) {
      if (revalidation.kind === "confirmed") return answerHeld(had ? "revalidated" : "fetched");
      return answerHeld("stale", held.standing.trouble ?? "upstream could not confirm it");
    }
    return revalidation.kind === "confirmed" || revalidation.kind === "trouble" ? syncFailure() : revalidation;
  }

  /** What the last try came to, if that is less than a TTL ago. */
  function withinTtl(): Held | NoGeneration | null {
    const { generation, standing } = held;
    const { opaqueAt } = rounds;
    const isRecent = (at: number): boolean => elapsedMs(at, now()) < ttlMs;
    if (opaqueAt !== null && isRecent(opaqueAt)) return { kind: "opaque" };
    if (generation === null) return null;
    if (standing.trouble === null) return isRecent(standing.confirmedAt) && now() < expectedAt ? answerHeld("fresh") : null;
    // A hold that is over by now gives way at the next try, which is not to wait for a long TTL.
    const { holds, triedAt, trouble } = standing;
    const isOver = holds.some(({ isShown, until }) => isShown && until > triedAt && until <= now());
    // Where only its time is to come, no try shows more before that.
    return (isRecent(triedAt) || isNextPrepared()) && !isOver ? answerHeld("stale", trouble) : null;
  }

  function isNextPrepared(): boolean {
    const isWait = ({ kind, isShown, since, until }: UpstreamHold) =>
      kind === "cached" && isShown && !isAhead(since, now()) && now() < until;
    return held.standing.holds.some(isWait);
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
      heldUntil: state === "stale" ? 0 : heldUntil(),
      ...(detail === undefined ? {} : { detail }),
      ...(hold === null ? {} : { hold }),
    };
  }

  /** No round begins before that, unless the store loses the root. A clock that stepped back makes nothing hold for longer. */
  function heldUntil(): number {
    const { confirmedAt, trouble } = held.standing;
    // A Release that appears takes a lone index over at once.
    if (place.form !== undefined || trouble !== null || flight !== null || confirmedAt > now()) return 0;
    return Math.min(confirmedAt + ttlMs, expectedAt, now() + deps.rememberMs);
  }

  function syncFailure(): UpstreamFailure {
    const detail = held.standing.trouble ?? `${place.root} is half-way through a sync`;
    return { kind: "failure", status: 503, detail, retryAfterSeconds: Math.max(limits.metadataTtlSeconds, 1) };
  }
}
