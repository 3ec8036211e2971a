import { compare, type Measured } from "../../verify/compare.ts";
import type { Expected } from "../../verify/expectation.ts";
import { type CheckResult, judgeByExpectations, type Passed } from "./check.ts";
import type { AskExpected } from "./dependencies.ts";

/** The last bytes wait this long for an index that is being read. */
const INDEX_WAIT_MS = 5_000;

/** What a whole body proved to be. `isOpen`: an index names it by a digest that was not computed; a later use has it fetched anew. */
export type IndexVerdict = (Passed & { readonly isOpen?: true }) | Extract<CheckResult, { readonly ok: false }>;

/**
 * The verdict on a whole body, by what indexes say now that its last byte has come: they may have changed since its first one, from which on it was
 * compared with `first`. Before it is refused they are asked anew: what is remembered of them may be a minute old, and clients ask for an update's
 * packages right away.
 */
export async function judgeByIndex(first: Expected, verdict: CheckResult, measured: Measured, ask: AskExpected): Promise<IndexVerdict> {
  if (!verdict.ok && verdict.isMismatch !== true) return verdict;
  const later = await ask(first.kind === "building" ? INDEX_WAIT_MS : 0);
  if (verdict.ok && first.kind !== "building" && isSame(first, later)) return verdict;
  const judged = judge(later, verdict, measured);
  if (judged.ok) return judged;
  const newest = await ask(0, 0);
  return isSame(later, newest) ? judged : judge(newest, verdict, measured);
}

function judge(expected: Expected, verdict: CheckResult, measured: Measured): IndexVerdict {
  const sha256 = measured.digests.get("sha256");
  // What the bytes are by themselves: a mismatch says nothing of that but that they are as long as they should be.
  const passed: Passed = verdict.ok
    ? { ...verdict, verified: verdict.verified === "digest" ? "length" : verdict.verified }
    : { ok: true, verified: "length", ...(sha256 === undefined ? {} : { sha256 }) };
  if (expected.kind !== "known") return verdict.ok ? verdict : passed;
  const judged = judgeByExpectations(expected.expectations, passed, measured);
  return judged.ok && compare(expected.expectations, measured) === "unknown" ? { ...judged, isOpen: true } : judged;
}

function isSame(one: Expected, other: Expected): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
