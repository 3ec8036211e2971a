import { formatBytes } from "../http/format-bytes.ts";
import type { Refusal } from "./book.ts";
import { largestStorable } from "./policy.ts";

/** Why a file of `size` bytes was passed on without being stored, as a sentence without its full stop. `limit`: the budget, or the mirror's `budget_gb`, in bytes. */
export function describePassed(size: number, why: Refusal | "no-ledger", limit: number): string {
  const file = `its ${formatBytes(size)}`;
  switch (why) {
    case "too-large":
      return `${file} are more than the largest file that is stored, ${formatBytes(largestStorable(limit))} (90 % of ${formatBytes(limit)}): raise BUDGET_GB, or the mirror's budget_gb`;
    case "first-request":
      return `${file} are over half of ${formatBytes(limit)} and others would go for it: it is stored when a client asks for it again, a minute later or more`;
    case "no-room":
      return `there is no room for ${file} in ${formatBytes(limit)}, as what is pinned or being fetched does not go; the next request for it makes more room`;
    case "no-ledger":
      return `there may be no room for ${file}: the ledger does not answer`;
  }
}
