import type { DeployPlan } from "./deploy-plan.ts";

/** A variable of the Worker that `wrangler deploy` gets beside those of [vars]. */
export interface PassedVariable {
  readonly name: "LOCATION" | "JURISDICTION";
  readonly value: string;
}

/**
 * Where the Worker's Durable Objects are to lie, as far as [vars] does not say it: at `--location`, else where the bucket is (`bucketLocation`), and in the
 * bucket's jurisdiction.
 */
export function placesToPass(
  { bucket, places }: Pick<DeployPlan, "bucket" | "places">,
  location: string | undefined,
  bucketLocation: string | undefined,
): readonly PassedVariable[] {
  const hint = places.location === undefined ? (location ?? bucketLocation) : undefined;
  const jurisdiction = places.jurisdiction === undefined ? bucket.jurisdiction : undefined;
  return [
    ...(hint === undefined ? [] : [{ name: "LOCATION", value: hint } as const]),
    ...(jurisdiction === undefined ? [] : [{ name: "JURISDICTION", value: jurisdiction } as const]),
  ];
}

/** As arguments of `wrangler deploy`. */
export function asArguments(passed: readonly PassedVariable[]): readonly string[] {
  return passed.flatMap(({ name, value }) => ["--var", `${name}:${value}`]);
}
