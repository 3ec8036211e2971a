import type { Absent } from "../../upstream/upstream.ts";

/** Whether every upstream said 404 or 410. Less is not enough to delete a copy: one that cannot be reached may have the file. */
export function isGone({ status, unsure = [] }: Absent): boolean {
  return status !== 403 && unsure.length === 0;
}

/** Why it is not sure that the file is gone, as a sentence for `detail`. */
export function explainDoubt({ status, unsure = [] }: Absent): string {
  if (unsure.length === 0) return `the upstream answered ${status}`;
  return `an upstream answered ${status}, but ${unsure.join(" and ")} may have it`;
}
