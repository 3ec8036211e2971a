import type { RepositoryPlace } from "../../route/place.ts";
import type { UpstreamRequest } from "../../upstream/upstream.ts";
import type { Mirror } from "../../config/config.ts";
import { fetchFile, type FetchFileAnswer, type FileFetcher } from "./fetch-file.ts";
import { rootFiles, standsAlone } from "./root-files.ts";

export interface RootFetcher extends FileFetcher {
  readonly mirror: Mirror;
  readonly place: RepositoryPlace;
  readonly limits: { readonly prefetchBytes: number };
}

interface FetchRootRequest {
  /** Configured URLs of upstreams that are not asked. */
  readonly avoid: readonly string[];
  /** The path of the held root; undefined: none is held. */
  readonly heldPath?: string | undefined;
  /** Validators of the held root. */
  readonly conditional?: UpstreamRequest["conditional"];
}

/**
 * The first root file of the repository that the next upstream has, conditionally where it is the held one. A form that the upstream does not give out (an
 * error, a page that says "not found") is passed over, as apt does, unless it is the held one. Throws StoreError.
 */
export async function fetchRoot(
  { limits, mirror, place, ...fetcher }: RootFetcher,
  { avoid, heldPath, conditional }: FetchRootRequest,
): Promise<FetchFileAnswer> {
  // A root that names other files is parsed, so it must fit in memory.
  const slicedUpTo = standsAlone(place) ? limits.prefetchBytes : undefined;
  const refusals: Exclude<FetchFileAnswer, { kind: "fetched" | "not-modified" }>[] = [];
  for (const path of rootFiles(place)) {
    const own = path === heldPath ? conditional : undefined;
    const answer = await fetchFile(fetcher, { mirror, path, avoid, conditional: own, slicedUpTo });
    if (answer.kind === "fetched" || answer.kind === "not-modified") return answer;
    if (answer.kind !== "absent" && (path === heldPath || (answer.kind === "unfit" && !answer.isPage))) return answer;
    refusals.push(answer);
  }
  const absent = refusals.filter((answer) => answer.kind === "absent");
  const isAbsent = absent.length === refusals.length;
  // An object store says 403 for all that is not there: 404 is the clearer word.
  const answer = isAbsent ? (absent.find(({ status }) => status !== 403) ?? absent[0]) : refusals.find(({ kind }) => kind !== "absent");
  return answer ?? { kind: "absent", status: 404 };
}
