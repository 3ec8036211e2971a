import type { Target } from "../../route/target.ts";
import { rewriteObject } from "../../store/rewrite-object.ts";
import type { StoredObject } from "../../store/stored-object.ts";
import type { Expectation } from "../../verify/expectation.ts";
import type { ServeDependencies } from "../shared/dependencies.ts";
import { deleteVersion } from "../../store/delete-version.ts";

/**
 * Compares a copy that was stored while its index could not be asked (`provisional`) with the index, when it is revalidated. Most are compared before, by
 * their repository, when the table lands; this heals the rest. False: it is not the published file, and is gone.
 */
export async function isPublished(target: Target, object: StoredObject, deps: ServeDependencies): Promise<boolean> {
  const { key } = target;
  const { store, config, repositories, log } = deps;
  const expected = await repositories.expected(target);
  if (expected.kind === "building") return true;
  const named = expected.kind === "known" ? expected.expectations : [];
  if (named.length > 0 && named.every((one) => isOther(object, one))) {
    log(`Refused ${key}, stored before its index was known: it is not the file that the index names`);
    await deps.taint(key, object.version);
    await deleteVersion(store, key, object.version).catch((error: unknown) => log(`Cannot delete ${key}: ${String(error)}`));
    return false;
  }
  const verified = named.some(({ digest }) => digest === object.sha256) ? "digest" : object.verified;
  try {
    await rewriteObject(store, key, object.version, config.sliceBytes, ({ provisional: _mark, ...rest }) => ({ ...rest, verified }));
  } catch (error) {
    log(`Cannot note that ${key} was compared with its index: ${String(error)}`);
  }
  return true;
}

function isOther({ size, sha256 }: StoredObject, named: Expectation): boolean {
  if (named.size !== undefined && named.size !== size) return true;
  return named.algorithm === "sha256" && sha256 !== undefined && named.digest !== sha256;
}
