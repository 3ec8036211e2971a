import type { Mirror } from "../../config/config.ts";
import type { RepositoryPlace } from "../../route/place.ts";
import { isBelieved } from "./adopt.ts";
import { type FetchedFile, fetchFile, type FileFetcher, isLabelledHtml } from "./fetch-file.ts";
import type { Generation, StoredFile } from "../members/generation.ts";
import { matchSignature } from "../formats/match-signature.ts";
import { memberCandidates, type Members, usedName } from "../members/members.ts";
import { parseRelease } from "../formats/parse-release.ts";
import type { Entry, ParsedRoot } from "../formats/parsed-root.ts";
import { companionFiles } from "./root-files.ts";

const PARALLEL_FETCHES = 4;
/** Ends of detached signatures; what they sign is the file of the same name without the end. */
const SIGNATURE_END = /\.(asc|gpg|sig)$/;

export type Companions =
  /** `mismatch`: why a companion does not belong to the root, where that was to be taken. */
  | { readonly kind: "whole"; readonly files: readonly StoredFile[]; readonly mismatch: string | null }
  /** `doubt`: it may stay so, and is believed in time: a signature is gone that was there before, or is another version's. */
  | { readonly kind: "not-whole"; readonly reason: string; readonly doubt: boolean; readonly isMismatch: boolean };

/**
 * Fetches what must move together with a root, from the upstream that gave the root, and looks whether it belongs to it. A companion that the
 * upstream does not have is left out, unless the held generation has it.
 */
export async function gatherCompanions(
  fetcher: FileFetcher & { readonly mirror: Mirror },
  place: RepositoryPlace,
  root: FetchedFile,
  parsed: ParsedRoot | null,
  held: { readonly generation: Generation | null; readonly doubtSince: number | null },
  takesMismatch: boolean,
): Promise<Companions> {
  const avoid = fetcher.mirror.upstreams.map(({ url }) => url).filter((url) => url !== root.representation.upstream);
  const documents = new Map([[root.file.path, root.bytes]]);
  const files: StoredFile[] = [];
  let mismatch: string | null = null;
  for (const path of companionFiles(place.kind, root.file.path)) {
    // oxlint-disable-next-line no-await-in-loop -- Release before the Release.gpg that signs it
    const answer = await fetchFile(fetcher, { mirror: fetcher.mirror, path, avoid });
    if (answer.kind === "failure") return { kind: "not-whole", reason: answer.detail, doubt: false, isMismatch: false };
    if (answer.kind !== "fetched" || isLabelledHtml(answer)) {
      const had = held.generation?.companions.some((file) => file.path === path) === true;
      if (!had || isBelieved(fetcher.now(), held.doubtSince)) continue;
      return { kind: "not-whole", reason: `${path} is gone`, doubt: true, isMismatch: false };
    }
    // oxlint-disable-next-line no-await-in-loop
    const reason = await findMismatch(path, answer, documents, parsed);
    if (reason !== null && !takesMismatch && !isBelieved(fetcher.now(), held.doubtSince)) {
      return { kind: "not-whole", reason, doubt: true, isMismatch: true };
    }
    mismatch ??= reason;
    documents.set(path, answer.bytes);
    files.push(answer.file);
  }
  return { kind: "whole", files, mismatch };
}

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

export interface Prefetch {
  readonly members: Members;
  readonly prefetchBytes: number;
}

/** What clients are sure to ask for is in the store after this; else why not, in one sentence. */
export async function gatherMembers(
  { members, prefetchBytes }: Prefetch,
  place: RepositoryPlace,
  root: ParsedRoot,
): Promise<string | null> {
  const wanted = root.entries.filter((entry) => isWanted(members, place, entry) && (entry.size ?? 0) <= prefetchBytes);
  let reason: string | null = null;
  const next = wanted.values();
  const work = async (): Promise<void> => {
    for (const entry of next) {
      if (reason !== null) return;
      // oxlint-disable-next-line no-await-in-loop -- PARALLEL_FETCHES of these run
      const answer = await members.ensure(entry, memberCandidates(entry, root.byHash));
      if (answer.kind === "absent") reason ??= `${entry.path} is named but not there`;
      if (answer.kind === "mismatch") reason ??= `${entry.path} is not the file that is named`;
      if (answer.kind === "failure") reason ??= answer.detail;
    }
  };
  await Promise.all(Array.from({ length: PARALLEL_FETCHES }, work));
  return reason;
}

function isWanted(members: Members, place: RepositoryPlace, entry: Entry): boolean {
  if (place.kind === "deb" || entry.path.endsWith(".zck")) return members.isUsed(usedName(place, entry));
  return entry.type?.endsWith("_db") !== true && !/\.sqlite(\.\w+)?$/.test(entry.path);
}
