import type { Resolution } from "../metadata/ports/repositories.ts";
import type { Target } from "../route/target.ts";
import { contentKey, type Keys, keysOf } from "../store/keys.ts";
import type { StoredObject } from "../store/stored-object.ts";
import type { AbsentStatus, UpstreamFailure } from "../upstream/upstream.ts";
import type { LookAgain, ServeDependencies } from "./shared/dependencies.ts";

/** Where the bytes of a target lie, or would lie. */
export type Where =
  /** Under its own path, or under the digest in its name: a request that finds nothing there fetches it. */
  | ({ readonly kind: "own" } & Keys)
  /** Where the repository's published generation names it: if it is not there, the repository fetches it again. */
  | (Pick<Extract<Resolution, { kind: "object" }>, "state" | "ageSeconds" | "detail"> &
      Keys & {
        readonly kind: "generation";
        /** What lay there a moment ago; absent: that is to be read. */
        readonly known?: StoredObject;
      })
  /** The repository has no answer; a copy under the target's own path, if there is one, is better than that. */
  | { readonly kind: "failure"; readonly key: string; readonly failure: UpstreamFailure }
  | { readonly kind: "absent"; readonly status: AbsentStatus; readonly words?: string };

/** Roots, their companions and members ask their repository; a file that carries its digest goes by that; all others are their own key. */
export async function locate(target: Target, before: LookAgain | null, { repositories }: ServeDependencies): Promise<Where> {
  const { class: pathClass, repository, mirror, key } = target;
  if (pathClass === "hashed" && repository?.digest !== undefined)
    return { kind: "own", ...keysOf(mirror, contentKey(mirror, repository.digest)) };
  if (pathClass !== "root" && pathClass !== "member") return { kind: "own", key };
  const resolution = await repositories.resolve(target, before?.lost);
  switch (resolution.kind) {
    case "object": {
      const { state, ageSeconds, detail, object, isRemembered } = resolution;
      return {
        kind: "generation",
        ...keysOf(mirror, resolution.key),
        state,
        ageSeconds,
        ...(detail === undefined ? {} : { detail }),
        ...(isRemembered === true ? { known: object } : {}),
      };
    }
    case "absent":
      return resolution;
    case "failure":
      return { kind: "failure", key, failure: resolution };
    case "opaque":
      return { kind: "own", key };
  }
}
