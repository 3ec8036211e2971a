import type { Mirror } from "../../config/config.ts";
import type { RepositoryPlace } from "../../route/place.ts";
import { type FetchedFile, fetchFile, type FileFetcher, isLabelledHtml } from "./fetch-file.ts";
import type { StoredFile } from "../members/generation.ts";
import type { HeldGeneration } from "./held-generation.ts";
import { matchSignature } from "../formats/match-signature.ts";
import { parseRelease } from "../formats/parse-release.ts";
import type { ParsedRoot } from "../formats/parsed-root.ts";
import { companionFiles } from "./root-files.ts";

/** Ends the name of a detached signature; it signs the file of the same name without this end. */
const SIGNATURE_END = /\.(asc|gpg|sig)$/;

export type Companions =
  /** `mismatch`: why a companion does not belong to the root, where it was taken all the same; null: all belong to it. */
  | { readonly kind: "whole"; readonly files: readonly StoredFile[]; readonly mismatch: string | null }
  /** A companion of the held generation is gone (`doubt`), belongs to another version (`mismatch`) or could not be fetched (`half-way`). */
  | { readonly kind: "doubt" | "mismatch" | "half-way"; readonly reason: string };

export interface CompanionDependencies extends FileFetcher {
  readonly mirror: Mirror;
  readonly place: RepositoryPlace;
  readonly held: HeldGeneration;
}

/** What is taken as the upstream has it, since it has held the generation back for long enough (root-keeper.ts decides). */
export interface Takes {
  /** A companion that belongs to another version of the root, or could not be fetched. */
  readonly mismatched: boolean;
  /** A root without a companion that the held generation has. */
  readonly unsigned: boolean;
}

/**
 * Fetches the companions of a root into the store, from the upstream that gave the root, and checks that they belong to it. A companion that the
 * upstream does not have is left out, unless the held generation has it. Throws StoreError.
 */
export async function gatherCompanions(
  deps: CompanionDependencies,
  root: FetchedFile,
  parsed: ParsedRoot | null,
  takes: Takes,
): Promise<Companions> {
  const { held, mirror, place } = deps;
  const avoid = mirror.upstreams.map(({ url }) => url).filter((url) => url !== root.representation.upstream);
  const documents = new Map([[root.file.path, root.bytes]]);
  const files: StoredFile[] = [];
  let mismatch: string | null = null;
  // In order: Release before the Release.gpg that signs it.
  for (const path of companionFiles(place.kind, root.file.path)) {
    const answer = await fetchFile(deps, { mirror, path, avoid });
    if (answer.kind === "failure") return { kind: "half-way", reason: answer.detail };
    if (answer.kind !== "fetched" || isLabelledHtml(answer)) {
      const isHeld = held.generation?.companions.some((file) => file.path === path) === true;
      if (!isHeld || takes.unsigned) continue;
      return { kind: "doubt", reason: `${path} is gone` };
    }
    const reason = await findMismatch(path, answer, documents, parsed);
    if (reason !== null && !takes.mismatched) return { kind: "mismatch", reason };
    mismatch ??= reason;
    documents.set(path, answer.bytes);
    files.push(answer.file);
  }
  return { kind: "whole", files, mismatch };
}

/** Why a companion belongs to another version of the root; null: it belongs to this one, or that cannot be seen without keys. */
async function findMismatch(
  path: string,
  companion: FetchedFile,
  documents: ReadonlyMap<string, Uint8Array | null>,
  parsed: ParsedRoot | null,
): Promise<string | null> {
  const bytes = companion.bytes ?? new Uint8Array();
  const document = SIGNATURE_END.test(path) ? documents.get(path.replace(SIGNATURE_END, "")) : undefined;
  if (document !== undefined && document !== null) {
    return (await matchSignature(document, bytes)) === "differs" ? `${path} signs another version of its file` : null;
  }
  if (!path.endsWith("Release")) return null;
  const twin = await parseRelease(bytes, "");
  return twin.kind === "parsed" && twin.root.timestamp === parsed?.timestamp ? null : `${path} is of another date than InRelease`;
}
