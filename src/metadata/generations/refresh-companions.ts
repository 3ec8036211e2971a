import type { Generation, StoredFile } from "../members/generation.ts";
import type { CompanionFetcher } from "./gather-companions.ts";
import { fetchFile } from "./fetch-file.ts";
import { findMismatch, storedDocuments } from "./match-companion.ts";
import { companionConditions } from "./root-validators.ts";

/** What the upstreams have of the companions of a generation whose root they still have. */
export type Refreshed =
  /** `files`: the companions, with the validators that the upstreams sent last; `changed`: the paths of those with other content. */
  | { readonly kind: "whole"; readonly files: readonly StoredFile[]; readonly changed: readonly string[] }
  /** They belong to another version of the root. */
  | { readonly kind: "mismatch"; readonly reason: string; readonly files: readonly StoredFile[]; readonly changed: readonly string[] };

/**
 * Asks for each companion of the generation whether it changed, by one request that is conditional where the validators can tell: a root that stays may be
 * signed anew. One that is gone or fails stays as it is: what it signs is still there. Throws StoreError.
 */
export async function refreshCompanions(deps: CompanionFetcher, generation: Generation): Promise<Refreshed> {
  const { limits, mirror, place, store } = deps;
  const newer = new Map<string, Uint8Array | null>();
  const files: StoredFile[] = [];
  for (const file of generation.companions) {
    const avoid = mirror.upstreams.map(({ url }) => url).filter((url) => url !== file.object.upstream);
    // Its upstream is configured no more: the next adoption fetches it from another one.
    const isAskable = avoid.length < mirror.upstreams.length;
    const slicedUpTo = place.form === undefined ? undefined : limits.prefetchBytes;
    const conditional = companionConditions(file);
    const answer = isAskable ? await fetchFile(deps, { mirror, path: file.path, avoid, conditional, slicedUpTo }) : null;
    if (answer?.kind !== "fetched") {
      files.push(file);
      continue;
    }
    files.push(answer.file);
    if (answer.file.key !== file.key) newer.set(file.path, answer.bytes);
  }
  const changed = [...newer.keys()];
  if (changed.length === 0) return { kind: "whole", files, changed };
  const document = storedDocuments(store, generation, newer);
  for (const { path } of files) {
    const reason = await findMismatch(path, await document(path), document, generation.parsed);
    if (reason !== null) return { kind: "mismatch", reason, files, changed };
  }
  return { kind: "whole", files, changed };
}
