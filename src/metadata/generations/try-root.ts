import { breathe, type Timer, within } from "../../clock/timer.ts";
import type { RepositoryPlace } from "../../route/place.ts";
import type { Generation, RootContent } from "../members/generation.ts";
import type { Breathe } from "../formats/pace.ts";
import { matchClearsigned } from "../formats/match-signature.ts";
import { parseRelease } from "../formats/parse-release.ts";
import { parseRepomd } from "../formats/parse-repomd.ts";
import type { RootParse } from "../formats/parsed-root.ts";
import type { Log } from "../ports/kept-state.ts";
import { type DoubtKind, isExpired, isOlder, judgeRoot } from "./judge-root.ts";
import { type FetchedFile, fetchFile, type FetchFileAnswer } from "./fetch-file.ts";
import { type CompanionDependencies, gatherCompanions } from "./gather-companions.ts";
import { filesOf, gatherMembers, type MemberDependencies, type MissingFile } from "./gather-members.ts";
import { fetchRoot } from "./fetch-root.ts";
import { refreshCompanions, type Refreshed } from "./refresh-companions.ts";
import { rootFiles, standsAlone } from "./root-files.ts";
import { UNWATCHED } from "../../watch/readings.ts";
import { conditions, receivedValidators, withOwnDate } from "./root-validators.ts";

export interface TrialDependencies extends CompanionDependencies, MemberDependencies {
  readonly log: Log;
  readonly timer: Timer;
  /** What was fetched of this root just before, without a condition and of no upstream in particular; given once. */
  readonly takeEarly?: ((root: string) => FetchFileAnswer | undefined) | undefined;
  /**
   * Awaited before a generation is published, so that a client that has the new root finds its packages judged by it: the heads of packages whose
   * digest changes are deleted; where nothing is held yet, packages are announced to wait for their first digest table. Resolves to when it may be published
   * at the earliest, in milliseconds since the epoch.
   */
  readonly beforeSwap: (next: RootContent, held: Generation | null) => Promise<number>;
}

/** What holds no root back any more, since it has for long enough. */
export interface Patience {
  /** Every reachable upstream has shown a doubtful root for an hour. */
  readonly isDoubtOver: boolean;
  /** Whether this upstream (its configured URL) has held the generation back for as long as such a hold may. */
  readonly isOver: (kind: "needed" | "sync", upstream: string) => boolean;
}

export interface TrialOptions {
  /** Configured URLs of the upstreams that were tried before. */
  readonly avoid: readonly string[];
  /** The store has lost the held root: it is fetched whole, changed or not, and nothing that is held protects clients any more. */
  readonly isLost: boolean;
  /** Companions are taken as the upstream has them. */
  readonly takesMismatch: boolean;
  readonly patience: Patience;
  /** With nothing held, the members of a new root are waited for until then, in milliseconds since the epoch. */
  readonly patienceUntil: number;
}

/** Why an upstream's root is not published. */
export interface Rejection {
  /**
   * - `unfit`: no generation can hold it (too long, or encoded), and none is held, or all reachable upstreams have shown such roots for an hour.
   * - `opaque`: no parser can read it, and the same; `generation`: it and its companions, to be published if no upstream has better.
   * - `cached`: other data centres still serve packages that it replaces; `until`: for so long (ms since the epoch).
   * - others: rows of "Adoption" in docs/generations.md.
   */
  readonly kind: "unfit" | "opaque" | "needed" | "sync" | "cached" | DoubtKind;
  readonly reason: string;
  readonly until?: number;
  readonly generation?: Generation;
}

/** What one try with the next upstream comes to. */
export type Trial =
  /**
   * The upstream (its configured URL) has the held root. `validators`: set where it sent it again. `refreshed`: what has become of the companions, where
   * that was asked.
   */
  | {
      readonly kind: "confirmed";
      readonly upstream: string;
      readonly validators?: Generation["validators"];
      readonly refreshed?: Refreshed;
    }
  /** A new generation, whole and in the store but for the holes: it is to be published. */
  | { readonly kind: "adopted"; readonly generation: Generation; readonly holes: readonly MissingFile[] }
  /** `upstream`: its configured URL. */
  | (Rejection & { readonly upstream: string })
  /** No upstream that is left has the root, or none of them gave a usable answer. */
  | Extract<FetchFileAnswer, { kind: "absent" | "failure" }>;

/**
 * Fetches the root from the next upstream and, if it differs from the held one, judges it and gathers what belongs to it. If it is the held one, asks whether
 * it was signed anew. Throws StoreError.
 */
export async function tryRoot(deps: TrialDependencies, options: TrialOptions): Promise<Trial> {
  const { generation } = deps.held;
  const answer = await askForRoot(deps, options);
  if (!isHeldRoot(answer, deps)) return judgeAnswer(deps, answer, options);
  const confirmed = confirm(deps, answer);
  if (generation === null) return confirmed;
  const refreshed = await refreshCompanions(deps, generation);
  const elsewhere = refreshed.kind === "mismatch" ? upstreamsOfChanged(refreshed).find((url) => url !== confirmed.upstream) : undefined;
  if (elsewhere !== undefined) {
    // The companions belong to a root that their own upstream has: it is slower than the one that answered for the root, or comes after it.
    const others = deps.mirror.upstreams.map(({ url }) => url).filter((url) => url !== elsewhere);
    const theirs = options.avoid.includes(elsewhere) ? null : await askForRoot(deps, { ...options, avoid: others });
    if (theirs?.kind === "fetched" && !isHeldRoot(theirs, deps)) return judgeAnswer(deps, theirs, options);
    if (theirs === null || !isHeldRoot(theirs, deps)) return confirmed;
  }
  // Companions of which nothing shows that they belong to this root do so if the upstream has the same root after them.
  const again = refreshed.kind === "whole" && !refreshed.isProven ? await askForRoot(deps, options) : answer;
  return isHeldRoot(again, deps) ? { ...confirmed, refreshed } : judgeAnswer(deps, again, options);
}

/** Whether the upstream of this configured URL has another root by now than the held one. Not where it cannot say so. Throws StoreError. */
export async function showsOtherRoot(deps: TrialDependencies, upstream: string): Promise<boolean> {
  const { generation } = deps.held;
  const others = deps.mirror.upstreams.map(({ url }) => url).filter((url) => url !== upstream);
  const isConfigured = others.length < deps.mirror.upstreams.length;
  const answer = await fetchRoot(deps, {
    avoid: isConfigured ? others : [],
    heldPath: generation?.root.path,
    conditional: generation === null ? undefined : conditions(generation),
  });
  return answer.kind === "fetched" && answer.file.key !== generation?.root.key;
}

/** The configured URLs of the upstreams that sent companions with other content than before. */
function upstreamsOfChanged({ files, changed }: Refreshed): readonly string[] {
  return files.filter(({ path }) => changed.includes(path)).map(({ object }) => object.upstream);
}

function isHeldRoot(answer: FetchFileAnswer, deps: TrialDependencies): answer is HeldRoot {
  const { generation } = deps.held;
  if (answer.kind === "not-modified") return true;
  if (isToBeRead(deps)) return false;
  return answer.kind === "fetched" && answer.file.key === generation?.root.key && generation.mismatched !== true;
}

/** Whether the held root is to be read anew: one that names no files is as it should be where it stands alone. */
function isToBeRead({ held, place }: Pick<TrialDependencies, "held" | "place">): boolean {
  return held.isToBeRead && !standsAlone(place);
}

type HeldRoot = Extract<FetchFileAnswer, { kind: "not-modified" | "fetched" }>;

function confirm({ now }: TrialDependencies, answer: HeldRoot): Extract<Trial, { kind: "confirmed" }> {
  if (answer.kind === "not-modified") return { kind: "confirmed", upstream: answer.upstream };
  return { kind: "confirmed", upstream: answer.representation.upstream, validators: receivedValidators(answer, now()) };
}

/** What an answer comes to that is not the held root. */
async function judgeAnswer(deps: TrialDependencies, answer: FetchFileAnswer, options: TrialOptions): Promise<Trial> {
  if (answer.kind === "not-modified") return confirm(deps, answer);
  if (answer.kind === "absent" || answer.kind === "failure") return answer;
  if (answer.kind === "unfit") {
    const isDoubted = deps.held.generation !== null && !options.patience.isDoubtOver;
    return { kind: isDoubted ? "malformed" : "unfit", reason: `${answer.upstream}: ${answer.reason}`, upstream: answer.upstream };
  }
  const { upstream } = answer.representation;
  const result = await adopt(deps, answer, options);
  return result.kind === "adopted" || result.kind === "confirmed"
    ? result
    : { ...result, reason: `${upstream}: ${result.reason}`, upstream };
}

/** The root from the next upstream, conditionally where it is the held one; or what was fetched for the request that opened this repository. */
async function askForRoot(deps: TrialDependencies, { avoid, isLost }: TrialOptions): Promise<FetchFileAnswer> {
  const { held, place } = deps;
  const { generation } = held;
  const early = generation === null && avoid.length === 0 ? deps.takeEarly?.(place.root) : undefined;
  if (early !== undefined) return early;
  const conditional = generation === null || isLost || isToBeRead(deps) ? undefined : conditions(generation);
  return fetchRoot(deps, { avoid, heldPath: generation?.root.path, conditional });
}

/** Judges a fetched root, gathers what belongs to it, and prepares its swap. */
async function adopt(
  deps: TrialDependencies,
  fetched: FetchedFile,
  { isLost, takesMismatch, patience, patienceUntil }: TrialOptions,
): Promise<Extract<Trial, { kind: "adopted" | "confirmed" }> | Rejection> {
  const { held, log, mirror, now, place, store, timer } = deps;
  const { upstream } = fetched.representation;
  // A generation whose root the store lost cannot be served: there is nothing to protect.
  const guarded = isLost ? null : held.generation;
  const { isDoubtOver } = patience;
  const isPreferredGone = guarded?.root.path === rootFiles(place)[0] && fetched.file.path !== guarded?.root.path;
  if (isPreferredGone && !isDoubtOver) return { kind: "gone", reason: `${guarded?.root.path} is gone` };

  const { readings = UNWATCHED } = deps;
  const reading = { mirror: mirror.name, base: place.base, part: "root", file: fetched.file.path } as const;
  const candidate = await readings.during(reading, breathe, (own) => parseRoot(place, fetched, own));
  let unreadable: string | null = null;
  if (candidate !== null) {
    const readable = guarded?.parsed ?? null;
    const judgement = judgeRoot({ held: readable, isHeld: readable !== null, isBelieved: isDoubtOver }, candidate, now());
    if (judgement.kind === "doubt") return { kind: judgement.doubt, reason: judgement.reason };
    if (judgement.kind === "opaque") unreadable = judgement.reason;
  }
  const parsed = candidate?.kind === "parsed" ? candidate.root : null;

  const takes = { mismatched: takesMismatch || patience.isOver("sync", upstream), unsigned: isDoubtOver || isLost };
  const companions = await gatherCompanions(deps, fetched, parsed, takes);
  if (companions.kind !== "whole") return companions;
  const { files, mismatch, isProven } = companions;
  if (standsAlone(place) && !isProven && !takes.mismatched && !(await isStill(deps, fetched))) {
    return { kind: "sync", reason: `${fetched.file.path} changed while its companions were fetched` };
  }
  // Taken as the upstream has it before, and not mended since.
  const isReadAnew = parsed !== null && guarded?.parsed === null;
  const isSame = guarded !== null && !isReadAnew && [fetched.file, ...files].map(({ key }) => key).join() === keysOf(guarded).join();
  if (isSame) return { kind: "confirmed", upstream, validators: receivedValidators(fetched, now()) };

  let holes: readonly MissingFile[] = [];
  if (parsed !== null) {
    const has = guarded?.parsed == null ? null : filesOf(place, guarded.parsed, held.standing.holes);
    const isHeldUseless = guarded?.parsed != null && isExpired(guarded.parsed, now());
    const gathering = gatherMembers(deps, parsed, has, {
      needed: isHeldUseless || patience.isOver("needed", upstream),
      // What was waited for as a needed file has been waited for as long as a sync takes too.
      unfetched: patience.isOver("sync", upstream) || patience.isOver("needed", upstream),
    });
    // With nothing held there is nothing to protect: the first client does not wait for all members, and what is missing is fetched at its request.
    const late = () => ({ kind: "complete", holes: [] }) as const;
    const gathered = guarded === null ? await within(gathering, patienceUntil - now(), late, timer) : await gathering;
    const isLastUpstream = mirror.upstreams.at(-1)?.url === upstream;
    if (gathered.kind !== "complete" && (guarded !== null || !isLastUpstream)) return gathered;
    if (gathered.kind === "complete") holes = gathered.holes;
  }

  const publishableAt = unreadable === null ? await deps.beforeSwap({ root: fetched.file, parsed }, held.generation) : 0;
  const isHeldUsed = guarded !== null && (guarded.parsed === null || !isExpired(guarded.parsed, now()));
  if (isHeldUsed && now() < publishableAt) {
    return { kind: "cached", until: publishableAt, reason: "other data centres still serve packages that the new root replaces" };
  }
  if (mismatch !== null) log("warn", `${mirror.name}: published ${place.root} as the upstream has it: ${mismatch}`);
  const root = await withOwnDate(store, fetched, held.generation);
  const validators = receivedValidators(fetched, fetched.file.object.storedAt);
  const isRetreat = parsed !== null && guarded?.parsed != null && isOlder(parsed, guarded.parsed);
  const next: Generation = {
    root,
    validators,
    companions: files,
    parsed,
    adoptedAt: now(),
    ...(isRetreat ? { retreated: true } : {}),
  };
  const generation: Generation = mismatch === null ? next : { ...next, mismatched: true };
  return unreadable === null ? { kind: "adopted", generation, holes } : { kind: "opaque", reason: unreadable, generation };
}

/**
 * Whether the upstream still has the same root. A root counts as the same where the upstream cannot say so, and where it is long and would have to be fetched
 * again.
 */
async function isStill(deps: TrialDependencies, { file, representation }: FetchedFile): Promise<boolean> {
  const { mirror, limits } = deps;
  const { etag, upstream } = representation;
  const avoid = mirror.upstreams.map(({ url }) => url).filter((url) => url !== upstream);
  if (avoid.length === mirror.upstreams.length || (etag === undefined && file.object.sliceBytes !== undefined)) return true;
  const conditional = etag === undefined ? undefined : { etag, upstream };
  const answer = await fetchFile(deps, { mirror, path: file.path, avoid, conditional, slicedUpTo: limits.prefetchBytes });
  return answer.kind !== "fetched" || answer.file.object.sha256 === file.object.sha256;
}

function keysOf({ root, companions }: Generation): readonly string[] {
  return [root, ...companions].map(({ key }) => key);
}

/** Reads what a fetched root names; null where its kind names no files. A clearsigned root that does not match its own signature is malformed. */
async function parseRoot(place: RepositoryPlace, fetched: FetchedFile, rest: Breathe): Promise<RootParse | null> {
  const { bytes, file } = fetched;
  if (standsAlone(place)) return null;
  if (bytes === null) return { kind: "malformed", reason: "it is too long" };
  if (place.kind === "rpm-md") return parseRepomd(bytes, place.base, rest);
  if (file.path.endsWith("InRelease") && (await matchClearsigned(bytes, rest)) === "differs") {
    return { kind: "malformed", reason: "it does not match its own signature" };
  }
  return parseRelease(bytes, place.root, rest);
}
