import type { Config, Mirror } from "../../config/config.ts";
import { DAY_MS } from "../../http/units.ts";
import type { RepositoryPlace } from "../../route/place.ts";
import type { RootStanding } from "../../watch/root-standing.ts";
import type { UpstreamFailure } from "../../upstream/upstream.ts";
import type { Timer } from "../../upstream/timer.ts";
import { heldRoot, isBelieved, judgeRoot } from "./adopt.ts";
import { type FetchedFile, fetchFile, type FetchFileAnswer, type FileFetcher } from "./fetch-file.ts";
import { gatherCompanions, gatherMembers } from "./gather.ts";
import { type Generation, NEVER_TRIED, type RootContent, type Standing } from "../members/generation.ts";
import type { Members } from "../members/members.ts";
import { parseRoot } from "./parse-root.ts";
import type { KeptState } from "../ports/kept-state.ts";
import type { Log } from "../ports/log.ts";
import { rootFiles } from "./root-files.ts";
import { conditions, validatorsOf, withOwnDate } from "./root-validators.ts";

/** Trouble is reported as an error when a held Valid-Until is nearer than this: clients refuse it soon. */
const NEAR_EXPIRY_MS = DAY_MS;

export interface KeeperDependencies extends FileFetcher {
  readonly mirror: Mirror;
  readonly members: Members;
  readonly kept: KeptState;
  readonly timer: Timer;
  readonly log: Log;
  readonly limits: Pick<Config, "metadataTtlSeconds" | "metadataWaitSeconds" | "prefetchBytes">;
  /**
   * Before the pointer moves: heads of packages whose digest the new generation changes are to be gone, and where nothing is held yet, its
   * digests are to be on their way: a client that has the root asks for packages at once.
   */
  readonly beforeSwap: (place: RepositoryPlace, next: RootContent, held: Generation | null) => Promise<void>;
  readonly afterSwap: (place: RepositoryPlace, next: Generation) => void;
  /** How the held generation stands to its upstreams, whenever that changes; null where there is none any more. */
  readonly onStanding: (root: string, standing: RootStanding | null) => void;
}

/** With nothing held, a signature of another version is looked at once more after this long: a sync swaps the two files within it. */
const MISMATCH_PAUSE_MS = 2_000;

/** What a request may use of a root now. */
export type Current =
  | {
      readonly kind: "held";
      readonly generation: Generation;
      readonly state: "fresh" | "revalidated" | "stale";
      readonly confirmedAt: number;
      readonly detail?: string;
    }
  | Without;

type Without = { readonly kind: "absent"; readonly status: 404 | 410 } | { readonly kind: "opaque" } | UpstreamFailure;

/** Keeps one root current: one conditional fetch on expiry, whoever asks, and one swap when a whole new generation is there. */
export interface RootKeeper {
  current(lost?: string): Promise<Current>;
  /** The held generation, if any, as it is; asks nobody. */
  held(): Generation | null;
}

type Outcome = { readonly kind: "confirmed" } | { readonly kind: "trouble"; readonly detail: string } | Without;

export function createRootKeeper(deps: KeeperDependencies, place: RepositoryPlace): RootKeeper {
  const { kept, limits, log, mirror, now } = deps;
  let generation = readKept(kept, `root:${place.root}`) as Generation | null;
  let standing = (readKept(kept, `standing:${place.root}`) as Standing | null) ?? NEVER_TRIED;
  /** What was last told of the standing. */
  let told = "";
  let opaqueSince: number | null = null;
  let flight: Promise<Outcome> | null = null;
  const ttlMs = limits.metadataTtlSeconds * 1000;

  return { held: () => generation, current };

  async function current(lost?: string): Promise<Current> {
    const at = now();
    const isLost = lost !== undefined && lost === generation?.root.key;
    if (generation !== null && !isLost) {
      if (standing.trouble === null && at - standing.confirmedAt < ttlMs) return describe("fresh");
      if (standing.trouble !== null && at - standing.triedAt < ttlMs) return describe("stale", standing.trouble);
    }
    if (generation === null && opaqueSince !== null && at - opaqueSince < ttlMs) return { kind: "opaque" };
    flight ??= revalidate(isLost).finally(() => (flight = null));
    // A sync that is known to be half-way is not worth a wait.
    if (generation !== null && !isLost && standing.halfWay) return describe("stale", standing.trouble ?? "a sync is under way");
    const outcome = await within(flight, limits.metadataWaitSeconds * 1000);
    if (outcome === null) {
      const detail = `${place.root} did not arrive whole within ${limits.metadataWaitSeconds} s`;
      return generation === null ? { kind: "failure", status: 504, detail } : describe("stale", detail);
    }
    if (generation === null) return outcome.kind === "confirmed" || outcome.kind === "trouble" ? busy(standing.trouble) : outcome;
    return outcome.kind === "confirmed" ? describe("revalidated") : describe("stale", standing.trouble ?? "upstream could not confirm it");
  }

  function describe(state: "fresh" | "revalidated" | "stale", detail?: string): Current {
    if (generation === null) throw new Error("Cannot describe a generation: none is held");
    return { kind: "held", generation, state, confirmedAt: standing.confirmedAt, ...(detail === undefined ? {} : { detail }) };
  }

  function busy(trouble: string | null): UpstreamFailure {
    const retryAfterSeconds = Math.max(limits.metadataTtlSeconds, 1);
    return { kind: "failure", status: 503, detail: trouble ?? `${place.root} is half-way through a sync`, retryAfterSeconds };
  }

  /** One try with each upstream in turn, until one confirms the held generation or gives a whole new one. */
  async function revalidate(isLost: boolean, isSecondLook = false): Promise<Outcome> {
    const patience = untilPatienceEnds();
    const avoid: string[] = [];
    const reasons: string[] = [];
    let [doubts, halfWay, isOpaque, isMismatch, isBehind] = [0, false, false, false, false];
    try {
      while (avoid.length < mirror.upstreams.length) {
        const validators = generation === null || isLost ? undefined : conditions(generation);
        // oxlint-disable-next-line no-await-in-loop -- the next upstream only where this one will not do
        const answer = await fetchRoot(avoid, validators);
        if (answer.kind === "not-modified") return confirm(generation);
        if (answer.kind === "absent") {
          if (generation === null || isBelieved(now(), standing.doubtSince)) return reasons.length === 0 ? dropAs(answer) : trouble();
          doubts++;
          reasons.push(`no upstream has ${place.root} any more`);
          break;
        }
        if (answer.kind === "failure") {
          reasons.push(answer.detail);
          if (generation === null && reasons.length === 1) return answer;
          break;
        }
        if (answer.kind === "unfit") {
          avoid.push(answer.upstream);
          reasons.push(answer.reason);
          isOpaque = true;
          continue;
        }
        avoid.push(answer.representation.upstream);
        if (answer.file.key === generation?.root.key && generation.mismatched !== true)
          return confirm({ ...generation, validators: validatorsOf(answer, now()) });
        // oxlint-disable-next-line no-await-in-loop
        const result = await consider(answer, patience.ended, isSecondLook || generation?.mismatched === true);
        if (result.kind === "adopted") return { kind: "confirmed" };
        reasons.push(`${answer.representation.upstream}: ${result.reason}`);
        if (result.kind === "doubt") doubts++;
        else isBehind = true;
        halfWay ||= result.kind === "half-way" || result.isMismatch === true;
        isMismatch ||= result.isMismatch === true;
        isOpaque ||= result.kind === "opaque";
      }
      if (isMismatch && generation === null && !isSecondLook) {
        await pause(MISMATCH_PAUSE_MS);
        return await revalidate(isLost, true);
      }
      return trouble();
    } catch (error) {
      reasons.push(error instanceof Error ? error.message : String(error));
      return trouble();
    } finally {
      patience.cancel();
    }

    function trouble(): Outcome {
      const detail = reasons.join("; ");
      const allDoubt = doubts > 0 && doubts >= avoid.length;
      const doubtSince = allDoubt ? (standing.doubtSince ?? now()) : null;
      // One that cannot be reached now is still ahead of what is held.
      const behindSince = standing.behindSince ?? (isBehind ? now() : null);
      setStanding({ ...standing, triedAt: now(), trouble: detail, halfWay, doubtSince, behindSince });
      report(detail);
      if (generation === null && isOpaque && !halfWay) {
        opaqueSince = now();
        return { kind: "opaque" };
      }
      return { kind: "trouble", detail };
    }
  }

  async function fetchRoot(avoid: readonly string[], conditional: ReturnType<typeof conditions>): Promise<FetchFileAnswer> {
    const canSlice = place.kind === "pacman" || place.kind === "apk";
    let answer: FetchFileAnswer = { kind: "absent", status: 404 };
    for (const path of rootFiles(place)) {
      const isSame = conditional !== undefined && path === generation?.root.path;
      // oxlint-disable-next-line no-await-in-loop -- Release only where there is no InRelease
      answer = await fetchFile(deps, {
        mirror,
        path,
        avoid,
        ...(isSame ? { conditional } : {}),
        ...(canSlice ? { slicedUpTo: limits.prefetchBytes } : {}),
      });
      if (answer.kind !== "absent") return answer;
    }
    return answer;
  }

  type Considered =
    | { readonly kind: "adopted" }
    | { readonly kind: "refused" | "doubt" | "half-way" | "opaque"; readonly reason: string; readonly isMismatch?: boolean };

  /** Judges a fetched root, gathers what belongs to it, and swaps. */
  async function consider(fetched: FetchedFile, patienceEnds: Promise<void>, takesMismatch: boolean): Promise<Considered> {
    if (generation !== null && fetched.file.path !== generation.root.path && rootFiles(place)[0] === generation.root.path) {
      if (!isBelieved(now(), standing.doubtSince)) return { kind: "doubt", reason: `${generation.root.path} is gone` };
    }
    const candidate = await parseRoot(place, fetched);
    if (candidate !== null) {
      const judgement = judgeRoot(heldRoot(generation), candidate, now(), standing.doubtSince);
      if (judgement.kind === "opaque") return judgement;
      if (judgement.kind === "refuse") return { kind: judgement.doubt ? "doubt" : "refused", reason: judgement.reason };
    }
    const parsed = candidate?.kind === "parsed" ? candidate.root : null;
    const held = { generation, doubtSince: standing.doubtSince };
    const companions = await gatherCompanions(deps, place, fetched, parsed, held, takesMismatch);
    if (companions.kind === "not-whole") return { ...companions, kind: companions.doubt ? "doubt" : "half-way" };
    const { files, mismatch } = companions;
    if (mismatch !== null) log("warn", `${mirror.name}: published ${place.root} as the upstream has it: ${mismatch}`);
    if (parsed !== null) {
      const gathered = gatherMembers({ members: deps.members, prefetchBytes: limits.prefetchBytes }, place, parsed);
      // With nothing to protect there is no reason to keep the first client waiting: what is missing is fetched when asked for.
      const reason = generation === null ? await Promise.race([gathered, patienceEnds.then(() => null)]) : await gathered;
      if (reason !== null && (generation !== null || avoidable(fetched))) return { kind: "half-way", reason };
    }
    await deps.beforeSwap(place, { root: fetched.file, parsed }, generation);
    const root = await withOwnDate(deps.store, fetched, generation);
    const validators = validatorsOf(fetched, fetched.file.object.storedAt);
    swap({ root, validators, companions: files, parsed, adoptedAt: now(), ...(mismatch === null ? {} : { mismatched: true }) });
    return { kind: "adopted" };
  }

  /** Whether another upstream may still have a whole generation. */
  function avoidable(fetched: FetchedFile): boolean {
    return mirror.upstreams.at(-1)?.url !== fetched.representation.upstream;
  }

  function swap(next: Generation): void {
    generation = next;
    opaqueSince = null;
    kept.save(`root:${place.root}`, JSON.stringify(next));
    confirm(next);
    log("info", `${mirror.name}: published a new generation of ${place.root} from ${next.root.object.upstream}`);
    deps.afterSwap(place, next);
  }

  function confirm(next: Generation | null): Outcome {
    if (next !== generation) {
      generation = next;
      kept.save(`root:${place.root}`, JSON.stringify(next));
    }
    setStanding({ confirmedAt: now(), triedAt: now(), trouble: null, halfWay: false, doubtSince: null, behindSince: null });
    return { kind: "confirmed" };
  }

  function dropAs(answer: { kind: "absent"; status: 404 | 410 }): Outcome {
    if (generation !== null) log("warn", `${mirror.name}: gave up ${place.root}: no upstream has had it for an hour`);
    generation = null;
    kept.remove(`root:${place.root}`);
    kept.remove(`standing:${place.root}`);
    standing = NEVER_TRIED;
    deps.onStanding(place.root, null);
    return answer;
  }

  function setStanding(next: Standing): void {
    standing = next;
    if (generation === null) return;
    kept.save(`standing:${place.root}`, JSON.stringify(next));
    const { confirmedAt, behindSince, trouble } = next;
    const change = [generation.adoptedAt, behindSince, trouble === null].join(" ");
    if (change === told) return;
    told = change;
    deps.onStanding(place.root, { adoptedAt: generation.adoptedAt, confirmedAt, behindSince, trouble });
  }

  function report(detail: string): void {
    const validUntil = generation?.parsed?.validUntil;
    const isNear = validUntil !== undefined && validUntil - now() < NEAR_EXPIRY_MS;
    const until = validUntil === undefined ? "" : `, valid until ${new Date(validUntil).toISOString()}`;
    const served = generation === null ? "nothing is published" : `the last generation is served${until}`;
    log(isNear ? "error" : "warn", `${mirror.name}: cannot adopt ${place.root}; ${served}: ${detail}`);
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => deps.timer(ms, resolve));
  }

  /** The outcome, or null when it takes longer than `ms`; the flight goes on. */
  function within(running: Promise<Outcome>, ms: number): Promise<Outcome | null> {
    return new Promise((resolve, reject) => {
      const cancel = deps.timer(ms, () => resolve(null));
      running.then(resolve, reject).finally(cancel);
    });
  }

  /** Ends before the wait of a request does, so that the first one still gets an answer. */
  function untilPatienceEnds(): { ended: Promise<void>; cancel: () => void } {
    let cancel = (): void => {};
    const ended = new Promise<void>((resolve) => (cancel = deps.timer(limits.metadataWaitSeconds * 500, resolve)));
    return { ended, cancel };
  }
}

/** What this code itself wrote. */
function readKept(kept: KeptState, key: string): unknown {
  const text = kept.load(key);
  return text === null ? null : JSON.parse(text);
}
