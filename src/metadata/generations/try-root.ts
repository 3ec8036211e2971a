import { type Timer, within } from "../../clock/timer.ts";
import type { RepositoryPlace } from "../../route/place.ts";
import type { Generation, RootContent } from "../members/generation.ts";
import { matchClearsigned } from "../formats/match-signature.ts";
import { parseRelease } from "../formats/parse-release.ts";
import { parseRepomd } from "../formats/parse-repomd.ts";
import type { RootParse } from "../formats/parsed-root.ts";
import type { Log } from "../ports/kept-state.ts";
import { type DoubtKind, isExpired, judgeRoot } from "./judge-root.ts";
import { type FetchedFile, fetchFile, type FetchFileAnswer } from "./fetch-file.ts";
import { type CompanionDependencies, gatherCompanions } from "./gather-companions.ts";
import { filesOf, gatherMembers, type MemberDependencies, type MissingFile } from "./gather-members.ts";
import { rootFiles } from "./root-files.ts";
import { conditions, receivedValidators, withOwnDate } from "./root-validators.ts";

export interface TrialDependencies extends CompanionDependencies, MemberDependencies {
  readonly log: Log;
  readonly timer: Timer;
  /**
   * Awaited before a generation is published, so that a client that has the new root finds its packages judged by it: the heads of packages whose
   * digest changes are deleted; where nothing is held yet, packages are announced to wait for their first digest table.
   */
  readonly beforeSwap: (next: RootContent, held: Generation | null) => Promise<void>;
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
   * - `opaque`: no client can read it, and the same.
   * - others: rows of "Adoption" in docs/generations.md.
   */
  readonly kind: "unfit" | "opaque" | "needed" | "sync" | DoubtKind;
  readonly reason: string;
}

/** What one try with the next upstream comes to. */
export type Trial =
  /** The upstream has the held root; `validators`: set where it sent it again. `upstream`: its configured URL. */
  | { readonly kind: "confirmed"; readonly upstream: string; readonly validators?: Generation["validators"] }
  /** A new generation, whole and in the store but for the holes: it is to be published. */
  | { readonly kind: "adopted"; readonly generation: Generation; readonly holes: readonly MissingFile[] }
  /** `upstream`: its configured URL. */
  | (Rejection & { readonly upstream: string })
  /** No upstream that is left has the root, or none of them gave a usable answer. */
  | Extract<FetchFileAnswer, { kind: "absent" | "failure" }>;

/** Fetches the root from the next upstream and, if it differs from the held one, judges it and gathers what belongs to it. Throws StoreError. */
export async function tryRoot(deps: TrialDependencies, options: TrialOptions): Promise<Trial> {
  const answer = await fetchRoot(deps, options);
  const { generation } = deps.held;
  if (answer.kind === "not-modified") return { kind: "confirmed", upstream: answer.upstream };
  if (answer.kind === "absent" || answer.kind === "failure") return answer;
  if (answer.kind === "unfit") {
    const isDoubted = generation !== null && !options.patience.isDoubtOver;
    return { kind: isDoubted ? "malformed" : "unfit", reason: `${answer.upstream}: ${answer.reason}`, upstream: answer.upstream };
  }
  const { upstream } = answer.representation;
  if (answer.file.key === generation?.root.key && generation.mismatched !== true) {
    return { kind: "confirmed", upstream, validators: receivedValidators(answer, deps.now()) };
  }
  const result = await adopt(deps, answer, options);
  return result.kind === "adopted" || result.kind === "confirmed"
    ? result
    : { kind: result.kind, reason: `${upstream}: ${result.reason}`, upstream };
}

/**
 * The first root file of the repository that the next upstream has, conditionally where it is the held one. A form that the upstream does not give out (an
 * error, a page that says "not found") is passed over, as apt does, unless it is the held one.
 */
async function fetchRoot(deps: TrialDependencies, { avoid, isLost }: TrialOptions): Promise<FetchFileAnswer> {
  const { held, limits, mirror, place } = deps;
  const { generation } = held;
  const conditional = generation === null || isLost ? undefined : conditions(generation);
  // A root that names other files is parsed, so it must fit in memory.
  const slicedUpTo = standsAlone(place) ? limits.prefetchBytes : undefined;
  const refusals: Exclude<FetchFileAnswer, { kind: "fetched" | "not-modified" }>[] = [];
  for (const path of rootFiles(place)) {
    const own = path === generation?.root.path ? conditional : undefined;
    const answer = await fetchFile(deps, { mirror, path, avoid, conditional: own, slicedUpTo });
    if (answer.kind === "fetched" || answer.kind === "not-modified") return answer;
    if (answer.kind !== "absent" && (path === generation?.root.path || (answer.kind === "unfit" && !answer.isPage))) return answer;
    refusals.push(answer);
  }
  const absent = refusals.filter((answer) => answer.kind === "absent");
  const isAbsent = absent.length === refusals.length;
  // An object store says 403 for all that is not there: 404 is the clearer word.
  const answer = isAbsent ? (absent.find(({ status }) => status !== 403) ?? absent[0]) : refusals.find(({ kind }) => kind !== "absent");
  return answer ?? { kind: "absent", status: 404 };
}

/** Whether the root of such a place names no other files, so that it may be long. */
function standsAlone({ kind, form }: RepositoryPlace): boolean {
  return form !== undefined || (kind !== "rpm-md" && kind !== "deb");
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

  const candidate = await parseRoot(place, fetched);
  if (candidate !== null) {
    const holding = { held: guarded?.parsed ?? null, isHeld: guarded !== null, isBelieved: isDoubtOver };
    const judgement = judgeRoot(holding, candidate, now());
    if (judgement.kind === "doubt") return { kind: judgement.doubt, reason: judgement.reason };
    if (judgement.kind === "opaque") return judgement;
  }
  const parsed = candidate?.kind === "parsed" ? candidate.root : null;

  const takes = { mismatched: takesMismatch || patience.isOver("sync", upstream), unsigned: isDoubtOver || isLost };
  const companions = await gatherCompanions(deps, fetched, parsed, takes);
  if (companions.kind !== "whole") return companions;
  const { files, mismatch } = companions;
  // Taken as the upstream has it before, and not mended since.
  const isSame = guarded !== null && [fetched.file, ...files].map(({ key }) => key).join() === keysOf(guarded).join();
  if (isSame) return { kind: "confirmed", upstream, validators: receivedValidators(fetched, now()) };

  let holes: readonly MissingFile[] = [];
  if (parsed !== null) {
    const has = guarded?.parsed == null ? null : filesOf(place, guarded.parsed, held.standing.holes);
    const isHeldUseless = guarded?.parsed != null && isExpired(guarded.parsed, now());
    const gathering = gatherMembers(deps, parsed, has, {
      needed: isHeldUseless || patience.isOver("needed", upstream),
      unfetched: patience.isOver("sync", upstream),
    });
    // With nothing held there is nothing to protect: the first client does not wait for all members, and what is missing is fetched at its request.
    const late = () => ({ kind: "complete", holes: [] }) as const;
    const gathered = guarded === null ? await within(gathering, patienceUntil - now(), late, timer) : await gathering;
    const isLastUpstream = mirror.upstreams.at(-1)?.url === upstream;
    if (gathered.kind !== "complete" && (guarded !== null || !isLastUpstream)) return gathered;
    if (gathered.kind === "complete") holes = gathered.holes;
  }

  if (mismatch !== null) log("warn", `${mirror.name}: published ${place.root} as the upstream has it: ${mismatch}`);
  await deps.beforeSwap({ root: fetched.file, parsed }, held.generation);
  const root = await withOwnDate(store, fetched, held.generation);
  const validators = receivedValidators(fetched, fetched.file.object.storedAt);
  const generation = { root, validators, companions: files, parsed, adoptedAt: now() };
  return { kind: "adopted", generation: mismatch === null ? generation : { ...generation, mismatched: true }, holes };
}

function keysOf({ root, companions }: Generation): readonly string[] {
  return [root, ...companions].map(({ key }) => key);
}

/** Reads what a fetched root names; null where its kind names no files. A clearsigned root that does not match its own signature is malformed. */
async function parseRoot(place: RepositoryPlace, fetched: FetchedFile): Promise<RootParse | null> {
  const { bytes, file } = fetched;
  if (standsAlone(place)) return null;
  if (bytes === null) return { kind: "malformed", reason: "it is too long" };
  if (place.kind === "rpm-md") return parseRepomd(bytes, place.base);
  if (file.path.endsWith("InRelease") && (await matchClearsigned(new TextDecoder().decode(bytes))) === "differs") {
    return { kind: "malformed", reason: "it does not match its own signature" };
  }
  return parseRelease(bytes, place.root);
}
