import { elapsedMs } from "../../clock/elapsed.ts";
import type { Config } from "../../config/config.ts";
import type { UpstreamFailure } from "../../upstream/upstream.ts";
import type { Generation, StoredFile } from "../members/generation.ts";
import type { Log } from "../ports/kept-state.ts";
import type { Mismatches } from "./mismatches.ts";
import { type CompanionFetcher, fetchCompanion } from "./gather-companions.ts";
import { belongsTo, findMismatch, storedDocuments } from "./match-companion.ts";
import type { Held, RootKeeper } from "./root-keeper.ts";

/** A companion that was absent is asked for again after this long, or after the TTL if that is shorter: the upstream may publish it late. */
const MAX_ABSENT_MS = 10_000;
/** Paths that are remembered as absent. Beyond this all are forgotten, which costs one request each. */
const MAX_REMEMBERED = 10_000;

export interface LateCompanionsDependencies extends Omit<CompanionFetcher, "place" | "limits"> {
  readonly log: Log;
  readonly mismatches: Mismatches;
  readonly limits: Pick<Config, "metadataTtlSeconds" | "prefetchBytes">;
}

export interface LateRequest {
  readonly path: string;
  readonly place: CompanionFetcher["place"];
  readonly keeper: RootKeeper;
  readonly current: Held;
  /** The companion as the generation has it, where the store lost it. */
  readonly had: StoredFile | undefined;
}

/** What came of asking for a companion that the published generation lacks. */
export type Late =
  /** It is in the store, and part of the generation from now on. */
  | { readonly kind: "here"; readonly file: StoredFile }
  | { readonly kind: "absent" }
  /** Longer than a generation holds: it goes by its own name. */
  | { readonly kind: "opaque" }
  /** Another generation was published meanwhile, which may have it. */
  | { readonly kind: "superseded" }
  | UpstreamFailure;

/**
 * Companions that a published generation lacks, because the upstream published them later than the root, because no client had asked for them yet, or
 * because the store lost them. Each is asked for at a client's request, once for all clients that ask at the same time.
 */
export function createLateCompanions(deps: LateCompanionsDependencies) {
  const { limits, log, mirror, mismatches, now, store } = deps;
  const absentSince = new Map<string, number>();
  const asking = new Map<string, Promise<Late>>();
  const restMs = Math.min(limits.metadataTtlSeconds * 1000, MAX_ABSENT_MS);

  return {
    async ask(request: LateRequest): Promise<Late> {
      const { path, had } = request;
      if (had === undefined && elapsedMs(absentSince.get(path) ?? -Infinity, now()) < restMs) return { kind: "absent" };
      const asked = asking.get(path) ?? fetchLate(request).finally(() => asking.delete(path));
      asking.set(path, asked);
      return asked;
    },
    noteAbsent,
  };

  /** The upstreams have just said that there is no such companion. */
  function noteAbsent(path: string): void {
    if (absentSince.size >= MAX_REMEMBERED) absentSince.clear();
    absentSince.set(path, now());
  }

  async function fetchLate({ path, place, keeper, current, had }: LateRequest): Promise<Late> {
    const { generation } = current;
    const document = storedDocuments(store, generation);
    const answer = await fetchCompanion(
      { ...deps, place },
      {
        path,
        upstream: generation.root.object.upstream,
        document,
        isOptional: had === undefined,
      },
    );
    if (answer.kind === "failure") return answer;
    if (answer.kind === "unfit" && !answer.isPage) return { kind: "opaque" };
    if (answer.kind !== "fetched") {
      mismatches.end(path);
      noteAbsent(path);
      return { kind: "absent" };
    }
    absentSince.delete(path);
    if (had?.object.sha256 !== undefined && had.object.sha256 === answer.file.object.sha256) return { kind: "here", file: had };
    const mismatch = await findMismatch(path, answer.bytes, document, generation.parsed);
    const isProven = mismatch === null && (await belongsTo(path, answer.bytes, document));
    // Nothing shows that it belongs to the root, which was fetched earlier: it does if the upstream has the same root after it.
    const isPutOff = !isProven && (await keeper.askAgain(answer.file.object.upstream, mismatch !== null));
    if (keeper.held()?.root.key !== generation.root.key) return { kind: "superseded" };
    if (isPutOff && mismatch === null) return syncFailure(`${path} may belong to a newer ${generation.root.path} than the published one`);
    if (mismatch !== null && !mismatches.isOverdue(path)) return syncFailure(mismatch);
    if (mismatch !== null) log("warn", `${mirror.name}: published ${path} as the upstream has it: ${mismatch}`);
    mismatches.end(path);
    keeper.addCompanion(answer.file, generation.root.key);
    return { kind: "here", file: answer.file };
  }
}

/** The upstream has another file than the generation: a sync is under way, and the client may come again soon. */
export function syncFailure(detail: string): UpstreamFailure {
  return { kind: "failure", status: 503, detail, retryAfterSeconds: 10 };
}

/** The companion of the generation at this path. */
export function companionAt({ companions }: Generation, path: string): StoredFile | undefined {
  return companions.find((file) => file.path === path);
}
