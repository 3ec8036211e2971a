import type { Target } from "../../route/target.ts";
import { deleteVersion } from "../../store/delete-version.ts";
import { rewriteObject } from "../../store/rewrite-object.ts";
import type { StoredObject } from "../../store/stored-object.ts";
import { compare, measuredOf } from "../../verify/compare.ts";
import type { ServeDependencies } from "../shared/dependencies.ts";

/**
 * Compares a stored copy with the published indexes when it is revalidated; most are compared before, when a table lands. `other`: it is not the file that
 * they name, and is gone. `unknown`: they name it by a digest that was not computed, or only the index of another folder names other bytes, so that it must be fetched anew.
 */
export async function compareWithIndex(
  target: Target,
  object: StoredObject,
  deps: ServeDependencies,
): Promise<"fits" | "other" | "unknown"> {
  const { key, class: pathClass } = target;
  const { store, config, repositories, log } = deps;
  if (pathClass === "root" || pathClass === "member" || pathClass === "hashed") return "fits";
  const ask = async (maxAgeMs?: number) => {
    const expected = await repositories.expected(target, { maxAgeMs });
    return {
      kind: expected.kind,
      comparison: expected.kind === "known" ? compare(expected.expectations, measuredOf(object)) : "same",
      isReaching: expected.kind === "known" && expected.isReaching === true,
    } as const;
  };
  let { kind, comparison, isReaching } = await ask();
  // What is remembered may be a table of a minute ago, and the copy of a newer one.
  if (comparison === "other") ({ kind, comparison, isReaching } = await ask(0));
  if (comparison === "other" && isReaching) return "unknown";
  // What was pieced together from several requests is judged by its first complete read.
  if (comparison === "unknown") return object.sliceBytes !== undefined && object.verified === "none" ? "fits" : "unknown";
  if (comparison === "other") {
    log(`Refused the stored ${key}: it is not the file that its index names`);
    await deps.taint(key, object.version);
    await deleteVersion(store, key, object.version).catch((error: unknown) => log(`Cannot delete ${key}: ${String(error)}`));
    return "other";
  }
  if (object.provisional !== true || kind === "building") return "fits";
  const verified = kind === "known" ? "digest" : object.verified;
  try {
    await rewriteObject(store, key, object.version, config.sliceBytes, ({ provisional: _mark, ...rest }) => ({ ...rest, verified }));
  } catch (error) {
    log(`Cannot note that ${key} was compared with its index: ${String(error)}`);
  }
  return "fits";
}
