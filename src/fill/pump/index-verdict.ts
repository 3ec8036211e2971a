import type { StoredObject } from "../../store/stored-object.ts";
import type { Expected } from "../../verify/expectation.ts";
import type { Fill } from "../shared/fill.ts";
import { restVerdict } from "./at-rest.ts";
import type { CheckResult, Passed } from "./check.ts";
import type { AskExpected, PumpDependencies } from "./dependencies.ts";

/** What an index that was still being read when the first bytes came says of a whole body. Null: it is still being read. */
export function judgeByIndex(expected: Expected, verdict: Passed): CheckResult | null {
  if (expected.kind === "building") return null;
  if (expected.kind === "none" || expected.expectations.some(({ algorithm }) => algorithm !== "sha256")) return verdict;
  if (expected.expectations.some(({ digest }) => digest === verdict.sha256)) return { ...verdict, verified: "digest" };
  return { ok: false, reason: `its sha256 is ${verdict.sha256}, not the ${expected.expectations[0].digest} that its index names` };
}

/**
 * Compares a provisional object with its index once more, now that it is at rest. Closes a race: the index may have been published after our last
 * look-up and before our write, so that the repository did not see the mark. Returns why the bytes are not the file's, else null; where the index is
 * still being read, the mark stays for the repository.
 */
export async function judgeAtRest(fill: Fill, verdict: Passed, expected: AskExpected, deps: PumpDependencies): Promise<string | null> {
  const { object } = fill;
  if (object?.provisional !== true || !fill.storable) return null;
  // The head of a sliced object was stored with its first slice, without the mark.
  if (object.sliceBytes !== undefined) await restVerdict(fill, object, deps);
  const judged = judgeByIndex(await expected(0), verdict);
  if (judged === null) return null;
  if (!judged.ok) {
    // Clients may have begun to read it from the store: none may resume onto it, whatever comes in its place.
    fill.tainted = true;
    await deps.leases.taint(fill.key, object.version);
    return judged.reason;
  }
  const { provisional: _settled, ...settled } = object;
  const proven: StoredObject = { ...settled, verified: judged.verified };
  fill.object = proven;
  await restVerdict(fill, proven, deps);
  return null;
}
