import { APK_CONTROL_SHA1, type Expectation } from "../../verify/expectation.ts";
import type { TableRecord } from "./table-format.ts";

/**
 * What the records of a path bind its file to: their digest with its size, or the size alone. Not the size beside the checksum of an apk's control segment:
 * apk shows it, and does not compare it.
 */
export function expectationsOf(records: readonly TableRecord[]): readonly Expectation[] {
  return records.flatMap(({ size, digests }): readonly Expectation[] => {
    // One is enough, and the one that fills compute anyway is the cheapest.
    const digest = digests.find(({ algorithm }) => algorithm === "sha256") ?? digests[0];
    const stated = size === undefined || digest?.algorithm === APK_CONTROL_SHA1 ? {} : { size };
    if (digest !== undefined) return [{ ...digest, ...stated, source: "index" }];
    return size === undefined ? [] : [{ algorithm: "size", digest: String(size), size, source: "index" }];
  });
}

/** Whether one and the same file may fit what records say before and after a change. */
export function isCompatible(before: readonly TableRecord[], after: readonly TableRecord[]): boolean {
  const now = expectationsOf(after);
  return expectationsOf(before).some((was) =>
    now.some((is) => is.algorithm === was.algorithm && is.digest === was.digest && is.size === was.size),
  );
}
