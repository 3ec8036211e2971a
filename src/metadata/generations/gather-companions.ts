import type { Mirror } from "../../config/config.ts";
import type { RepositoryPlace } from "../../route/place.ts";
import { type FetchedFile, fetchFile, type FetchFileAnswer, type FileFetcher } from "./fetch-file.ts";
import type { StoredFile } from "../members/generation.ts";
import type { HeldGeneration } from "./held-generation.ts";
import type { ParsedRoot } from "../formats/parsed-root.ts";
import { belongsTo, type Document, findMismatch } from "./match-companion.ts";
import { type ReadingWatch, UNWATCHED } from "../../watch/readings.ts";
import { breathe } from "../../clock/timer.ts";
import { companionFiles, isInRelease, isNeededSignature, likelyCompanions, signedFile } from "./root-files.ts";

export type Companions =
  /**
   * `mismatch`: why a companion does not belong to the root, where it was taken all the same; null: all belong to it. `isProven`: that shows in the bytes
   * of each.
   */
  | { readonly kind: "whole"; readonly files: readonly StoredFile[]; readonly mismatch: string | null; readonly isProven: boolean }
  /** A signature of the held generation is gone (`unsigned`), belongs to another version or could not be fetched (`sync`). */
  | { readonly kind: "unsigned" | "sync"; readonly reason: string };

export interface CompanionFetcher extends FileFetcher {
  readonly mirror: Mirror;
  readonly place: RepositoryPlace;
  readonly limits: { readonly prefetchBytes: number };
}

export interface CompanionDependencies extends CompanionFetcher {
  readonly held: HeldGeneration;
  /** The upstreams have said that there is no such companion. */
  readonly onAbsent: (path: string) => void;
  /** Default: nothing is set aside, and no process watches. */
  readonly readings?: ReadingWatch;
}

/** What is taken as the upstream has it, since it has held the generation back for long enough (root-keeper.ts decides). */
export interface Takes {
  /** A companion that belongs to another version of the root, or could not be fetched. */
  readonly mismatched: boolean;
  /** A root without a companion that the held generation has. */
  readonly unsigned: boolean;
}

/**
 * Fetches the companions of a new root into the store and checks that they belong to it: the likely ones, and those that the held generation has. One that
 * cannot be had, or belongs beside an InRelease to another version, is left out: clients may do without it, and late-companions.ts asks again when one
 * asks for it. Only a signature that clients verify, and that was there, holds a root back. Throws StoreError.
 */
export async function gatherCompanions(
  deps: CompanionDependencies,
  root: FetchedFile,
  parsed: ParsedRoot | null,
  takes: Takes,
): Promise<Companions> {
  const { held, mirror, place, readings = UNWATCHED } = deps;
  const rootFile = root.file.path;
  const content = new Map<string, Uint8Array | null>([[rootFile, root.bytes]]);
  const document: Document = async (path) => content.get(path) ?? null;
  const before = new Set(held.generation?.companions.map(({ path }) => path));
  const likely = likelyCompanions(place, rootFile);
  const files: StoredFile[] = [];
  let mismatch: string | null = null;
  let isProven = true;
  // In order: what is signed before its signature.
  for (const path of companionFiles(place, rootFile)) {
    if (!likely.includes(path) && !before.has(path)) continue;
    const answer = await fetchCompanion(deps, { path, upstream: root.representation.upstream, document });
    if (answer.kind !== "fetched") {
      if (answer.kind === "absent") deps.onAbsent(path);
      if (!before.has(path) || !isNeededSignature(place, rootFile, path)) continue;
      if (answer.kind === "failure" && !takes.mismatched) return { kind: "sync", reason: answer.detail };
      if (answer.kind !== "failure" && !takes.unsigned) return { kind: "unsigned", reason: `${path} is gone` };
      continue;
    }
    const reading = { mirror: mirror.name, base: place.base, part: "root", file: path } as const;
    const reason = await readings.during(reading, breathe, () => findMismatch(path, answer.bytes, document, parsed));
    if (reason !== null && isInRelease(rootFile)) continue;
    if (reason !== null && !takes.mismatched) return { kind: "sync", reason };
    mismatch ??= reason;
    isProven &&= await belongsTo(path, answer.bytes, document);
    content.set(path, answer.bytes);
    files.push(answer.file);
  }
  return { kind: "whole", files, mismatch, isProven };
}

interface CompanionRequest {
  readonly path: string;
  /** Configured URL of the upstream that gave the root. */
  readonly upstream: string;
  readonly document: Document;
  /** No generation has had it: while `upstream` cannot be asked, another one's word that it has none is enough. */
  readonly isOptional?: boolean;
}

/**
 * Fetches a companion of a root from the root's upstream. A signature that is not there is taken from another one, if it certainly belongs to the root: an
 * upstream may lack files that others have, and of anything else nothing shows which version it belongs to.
 */
export async function fetchCompanion(deps: CompanionFetcher, request: CompanionRequest): Promise<FetchFileAnswer> {
  const { path, upstream, document, isOptional = false } = request;
  const { mirror, limits, place } = deps;
  const urls = mirror.upstreams.map(({ url }) => url);
  const others = urls.filter((url) => url !== upstream);
  const slicedUpTo = place.form === undefined ? undefined : limits.prefetchBytes;
  const own = await fetchFile(deps, { mirror, path, avoid: others, slicedUpTo });
  if (own.kind === "fetched" || others.length === 0 || others.length === urls.length) return own;
  const mayBeAbsent = isOptional && own.kind === "failure";
  if (signedFile(path) === null && !mayBeAbsent) return own;
  const elsewhere = await fetchFile(deps, { mirror, path, avoid: [upstream] });
  if (mayBeAbsent && elsewhere.kind === "absent") return elsewhere;
  return elsewhere.kind === "fetched" && (await belongsTo(path, elsewhere.bytes, document)) ? elsewhere : own;
}
