import { type Timer, within } from "../../clock/timer.ts";
import type { RepositoryPlace } from "../../route/place.ts";
import type { Generation, RootContent } from "../members/generation.ts";
import { matchClearsigned } from "../formats/match-signature.ts";
import { parseRelease } from "../formats/parse-release.ts";
import { parseRepomd } from "../formats/parse-repomd.ts";
import type { RootParse } from "../formats/parsed-root.ts";
import type { Log } from "../ports/kept-state.ts";
import { isBelieved, judgeRoot } from "./judge-root.ts";
import { type FetchedFile, fetchFile, type FetchFileAnswer } from "./fetch-file.ts";
import { type CompanionDependencies, gatherCompanions } from "./gather-companions.ts";
import { gatherMembers, type MemberDependencies } from "./gather-members.ts";
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

export interface TrialOptions {
  /** Configured URLs of the upstreams that were tried before. */
  readonly avoid: readonly string[];
  /** The store has lost the held root: it is fetched whole, changed or not. */
  readonly isLost: boolean;
  /** A signature that belongs to another version of its file is taken as the upstream has it. */
  readonly takesMismatch: boolean;
  /** With nothing held, the members of a new root are waited for until then, in milliseconds since the epoch. */
  readonly patienceUntil: number;
}

/** Why an upstream's root is not published. Each kind is one row of "Adoption" in docs/generations.md. */
export interface Rejection {
  /**
   * - `unfit`: no generation can hold it (too long, or encoded).
   * - `opaque`: it does not parse, and no parsed root is held.
   * - `refused`: it does not parse or is past its Valid-Until, and the held one does and is not.
   * - `doubt`: it may be right (older, or without a signature that was there), and is believed once every reachable upstream has shown it for an hour.
   * - `mismatch`: a companion belongs to another version of the root. A doubt as well, since a sync may be under way upstream.
   * - `half-way`: a file that belongs to it is missing or other than named: a sync is under way upstream.
   */
  readonly kind: "unfit" | "opaque" | "refused" | "doubt" | "mismatch" | "half-way";
  readonly reason: string;
}

/** What one try with the next upstream comes to. */
export type Trial =
  /** The upstream has the held root; `validators`: set where it sent it again. */
  | { readonly kind: "confirmed"; readonly validators?: Generation["validators"] }
  /** A new generation, whole and in the store: it is to be published. */
  | { readonly kind: "adopted"; readonly generation: Generation }
  /** `upstream`: its configured URL. */
  | (Rejection & { readonly upstream: string })
  /** No upstream that is left has the root, or none of them gave a usable answer. */
  | Extract<FetchFileAnswer, { kind: "absent" | "failure" }>;

/** Fetches the root from the next upstream and, if it differs from the held one, judges it and gathers what belongs to it. Throws StoreError. */
export async function tryRoot(deps: TrialDependencies, options: TrialOptions): Promise<Trial> {
  const answer = await fetchRoot(deps, options);
  if (answer.kind === "not-modified") return { kind: "confirmed" };
  if (answer.kind !== "fetched") return answer;
  const { generation } = deps.held;
  if (answer.file.key === generation?.root.key && generation.mismatched !== true) {
    return { kind: "confirmed", validators: receivedValidators(answer, deps.now()) };
  }
  const result = await adopt(deps, answer, options);
  if (result.kind === "adopted") return result;
  const { upstream } = answer.representation;
  return { kind: result.kind, reason: `${upstream}: ${result.reason}`, upstream };
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
  { takesMismatch, patienceUntil }: TrialOptions,
): Promise<Extract<Trial, { kind: "adopted" }> | Rejection> {
  const { held, log, mirror, now, place, store, timer } = deps;
  const { generation } = held;
  const { doubtSince } = held.standing;
  const isPreferredGone = generation?.root.path === rootFiles(place)[0] && fetched.file.path !== generation?.root.path;
  if (isPreferredGone && !isBelieved(now(), doubtSince)) return { kind: "doubt", reason: `${generation?.root.path} is gone` };

  const candidate = await parseRoot(place, fetched);
  if (candidate !== null) {
    const judgement = judgeRoot(generation?.parsed ?? null, candidate, now(), doubtSince);
    if (judgement.kind !== "adopt") return judgement;
  }
  const parsed = candidate?.kind === "parsed" ? candidate.root : null;

  const isDoubtOver = isBelieved(now(), doubtSince);
  const takes = { mismatched: takesMismatch || isDoubtOver, unsigned: isDoubtOver };
  const companions = await gatherCompanions(deps, fetched, parsed, takes);
  if (companions.kind !== "whole") return companions;
  const { files, mismatch } = companions;
  if (mismatch !== null) log("warn", `${mirror.name}: published ${place.root} as the upstream has it: ${mismatch}`);

  if (parsed !== null) {
    const gathered = gatherMembers(deps, parsed);
    // With nothing held there is nothing to protect: the first client does not wait for all members, and what is missing is fetched at its request.
    const reason = generation === null ? await within(gathered, patienceUntil - now(), () => null, timer) : await gathered;
    const isLastUpstream = mirror.upstreams.at(-1)?.url === fetched.representation.upstream;
    if (reason !== null && (generation !== null || !isLastUpstream)) return { kind: "half-way", reason };
  }

  await deps.beforeSwap({ root: fetched.file, parsed }, generation);
  const root = await withOwnDate(store, fetched, generation);
  const validators = receivedValidators(fetched, fetched.file.object.storedAt);
  const adopted = { root, validators, companions: files, parsed, adoptedAt: now() };
  return { kind: "adopted", generation: mismatch === null ? adopted : { ...adopted, mismatched: true } };
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
