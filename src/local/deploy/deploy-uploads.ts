import type { DeployPlan } from "./deploy-plan.ts";
import { failed, type RunWrangler } from "./deploy-wrangler.ts";
import { done, refused, type Step } from "../step.ts";

/** What R2 does with a write from far away. `unknown`: R2 did not say. */
export type LocalUploads = "on" | "off" | "unknown";

/**
 * R2's Local Uploads: a write lands in storage near the writer first, and R2 copies it to the bucket (R2, Local uploads; not for buckets in a
 * jurisdiction). Enables them if `isWanted`, and else only looks. Refuses only if they are wanted and cannot be had.
 */
export async function ensureLocalUploads(
  { bucket }: Pick<DeployPlan, "bucket">,
  isWanted: boolean,
  wrangler: RunWrangler,
  print: (line: string) => void,
): Promise<Step<LocalUploads>> {
  if (bucket.jurisdiction !== undefined) return isWanted ? refused(noLocalUploads(bucket)) : done("unknown");
  const localUploads = (verb: string, ...args: readonly string[]) =>
    wrangler(["r2", "bucket", "local-uploads", verb, bucket.name, ...args]);
  const got = await localUploads("get");
  const state = !got.ok ? "unknown" : /\bare enabled\b/.test(got.stdout) ? "on" : /\bare disabled\b/.test(got.stdout) ? "off" : "unknown";
  if (!isWanted) return done(state);
  if (state !== "on") {
    const enabled = await localUploads("enable", "--force");
    if (!enabled.ok) return failed(`enable Local Uploads for ${bucket.name}`, enabled);
  }
  print(`  Local Uploads: ${state === "on" ? "exist" : "enabled"}`);
  return done("on");
}

/** Why --local-uploads cannot be used with this bucket. */
export function noLocalUploads({ jurisdiction }: DeployPlan["bucket"]): string {
  return `Cannot use --local-uploads: R2 has none for a bucket in a jurisdiction (jurisdiction = "${jurisdiction ?? ""}"); deploy without it.`;
}
