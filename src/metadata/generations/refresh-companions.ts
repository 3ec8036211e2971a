import type { Generation, StoredFile } from "../members/generation.ts";
import type { CompanionFetcher } from "./gather-companions.ts";
import { fetchFile, type FetchFileAnswer } from "./fetch-file.ts";
import { belongsTo, findMismatch, storedDocuments } from "./match-companion.ts";
import { companionConditions } from "./root-validators.ts";

/** What the upstreams have of the companions of a generation whose root they still have. */
export interface Refreshed {
  /** `mismatch`: one of them belongs to another version of the root. */
  readonly kind: "whole" | "mismatch";
  /** The companions, with the validators that the upstreams sent last. */
  readonly files: readonly StoredFile[];
  /** The paths of those with other content than before. */
  readonly changed: readonly string[];
  /** The bytes of each of these show that it belongs to the root. */
  readonly isProven: boolean;
}

/**
 * Asks for each companion of the generation whether it changed, by one request that is conditional where the validators can tell: a root that stays may be
 * signed anew. One that is gone or fails stays as it is: what it signs is still there. Throws StoreError.
 */
export async function refreshCompanions(deps: CompanionFetcher, generation: Generation): Promise<Refreshed> {
  const newer = new Map<string, Uint8Array | null>();
  const files = await Promise.all(
    generation.companions.map(async (file) => {
      const answer = await fetchAgain(deps, file);
      if (answer?.kind !== "fetched") return file;
      if (answer.file.key !== file.key) newer.set(file.path, answer.bytes);
      return answer.file;
    }),
  );
  const changed = [...newer.keys()];
  if (changed.length === 0) return { kind: "whole", files, changed, isProven: true };
  const document = storedDocuments(deps.store, generation, newer);
  let isProven = true;
  for (const { path } of files) {
    const bytes = await document(path);
    if ((await findMismatch(path, bytes, document, generation.parsed)) !== null) return { kind: "mismatch", files, changed, isProven };
    if (newer.has(path)) isProven &&= await belongsTo(path, bytes, document);
  }
  return { kind: "whole", files, changed, isProven };
}

/** Null where the companion's upstream is configured no more: the next adoption fetches it from another one. */
async function fetchAgain({ place, ...deps }: CompanionFetcher, file: StoredFile): Promise<FetchFileAnswer | null> {
  const { limits, mirror } = deps;
  const avoid = mirror.upstreams.map(({ url }) => url).filter((url) => url !== file.object.upstream);
  if (avoid.length === mirror.upstreams.length) return null;
  const slicedUpTo = place.form === undefined ? undefined : limits.prefetchBytes;
  return fetchFile(deps, { mirror, path: file.path, avoid, conditional: companionConditions(file), slicedUpTo });
}
