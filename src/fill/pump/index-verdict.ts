import type { StoredObject } from "../../store/stored-object.ts";
import type { Fill } from "../shared/fill.ts";
import { restVerdict } from "./at-rest.ts";
import type { CheckResult } from "./check.ts";
import type { Foreknowledge, Foresee, PumpDependencies } from "./dependencies.ts";

type Passed = CheckResult & { readonly ok: true };

/** What an index that was still being read when the first bytes came says of a whole body. Null: it is still being read. */
export function judgeByIndex({ known, provisional }: Foreknowledge, verdict: Passed): CheckResult | null {
  if (provisional) return null;
  const named = known.filter((expectation) => expectation.algorithm === "sha256");
  if (named.length === 0) return verdict;
  if (named.some((expectation) => expectation.digest === verdict.sha256)) return { ...verdict, verified: "digest" };
  return { ok: false, reason: `its sha256 is ${verdict.sha256}, not the ${named[0]?.digest} that its index names` };
}

/**
 * Compares a provisional object with its index once more, now that it is at rest. The repository compares what it finds marked when the index
 * lands; without this question, an object whose index landed between the last question and the write would stay unproven.
 * Returns why the bytes are not the file's, else null; where the index is still being read, the mark stays for the repository.
 */
export async function settleProvisional(fill: Fill, verdict: Passed, expected: Foresee, deps: PumpDependencies): Promise<string | null> {
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
