import type { Target } from "../../route/target.ts";
import type { StoredObject } from "../../store/stored-object.ts";
import type { ServeDependencies } from "../dependencies.ts";
import { forget } from "../stored-answer.ts";

/**
 * An object that was stored while its index could not be asked: compared by the first hit that finds the index. The repository does so too when a
 * table lands, but only for what it remembers. False: it is not the published file, and is gone.
 */
export async function passesIndex(target: Target, object: StoredObject, deps: ServeDependencies): Promise<boolean> {
  const { key } = target;
  if (object.provisional !== true || deps.checks.at(key) > 0) return true;
  const expected = await deps.repositories.expected(target);
  if (expected.kind === "building") return true;
  const isPublished = expected.kind === "none" || isSame(object, expected.expectation);
  if (isPublished) {
    deps.checks.note(key, deps.now());
    return true;
  }
  deps.log(`Refused ${key}, stored before its index was known: it is not the file that this names`);
  await deps.taint(key, object.version);
  await forget(key, object, deps);
  return false;
}

function isSame({ sha256, size }: StoredObject, named: { algorithm: string; digest: string; size?: number }): boolean {
  if (named.size !== undefined && named.size !== size) return false;
  return sha256 === undefined || named.algorithm !== "sha256" || named.digest === sha256;
}
