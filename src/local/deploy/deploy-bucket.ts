import * as v from "valibot";
import { LOCATIONS } from "../../config/config.ts";
import type { DeployPlan } from "./deploy-plan.ts";
import { failed, inJurisdiction, type RunWrangler } from "./deploy-wrangler.ts";
import { done, type Step } from "../step.ts";

/** Location hints of R2 buckets (R2, Data location): Durable Objects have more. */
const BUCKET_LOCATIONS = ["weur", "eeur", "apac", "wnam", "enam", "oc"];

/** The bucket as it is before the Worker is deployed. */
export interface ReadyBucket {
  readonly name: string;
  readonly isNew: boolean;
  /** Where R2 says that an existing one lies, if that is a location hint. */
  readonly location: string | undefined;
}

/** What `wrangler r2 bucket create` is given besides the name. R2 takes a jurisdiction or a hint, not both, and has fewer hints than Durable Objects. */
export function placeOfBucket(bucket: DeployPlan["bucket"], location: string | undefined): readonly string[] {
  if (bucket.jurisdiction !== undefined) return inJurisdiction(bucket);
  return location !== undefined && BUCKET_LOCATIONS.includes(location) ? ["--location", location] : [];
}

/**
 * Finds the bucket, or creates it. Where the file names none, a Worker that was deployed before keeps the bucket it has, and a new one gets a bucket of its
 * own name. Refuses if R2 cannot be asked or does not create it.
 */
export async function ensureBucket(
  { bucket, worker }: Pick<DeployPlan, "bucket" | "worker">,
  location: string | undefined,
  wrangler: RunWrangler,
  print: (line: string) => void,
): Promise<Step<ReadyBucket>> {
  const ask = (name: string) => wrangler(["r2", "bucket", "info", name, "--json", ...inJurisdiction(bucket)]);
  let { name } = bucket;
  let info = await ask(name);
  if (!info.ok && isAbsent(info.output) && !bucket.isNamed) {
    const deployed = await bucketOfDeployed(worker, bucket.jurisdiction, wrangler);
    if (deployed !== undefined && deployed !== name) {
      name = deployed;
      print(`  ${name}: the deployed Worker has it`);
      info = await ask(name);
    }
  }
  if (info.ok) {
    const lies = locationIn(info.stdout);
    print(`  exists${lies === undefined ? "" : `, in ${lies}`}`);
    return done({ name, isNew: false, location: lies });
  }
  if (!isAbsent(info.output)) return failed(`look for the bucket ${name}`, info);
  const created = await wrangler(["r2", "bucket", "create", name, ...placeOfBucket(bucket, location)]);
  // Code 10004: the bucket exists by now. Another deployment created it since we looked.
  if (!created.ok && !/\bcode: 10004\b/.test(created.output)) return failed(`create the bucket ${name}`, created);
  print("  created");
  return done({ name, isNew: true, location: undefined });
}

function isAbsent(output: string): boolean {
  return /\bcode: 10006\b|does not exist/i.test(output);
}

const InfoSchema = v.pipe(v.string(), v.parseJson(), v.object({ location: v.string() }));

function locationIn(stdout: string): string | undefined {
  const info = v.safeParse(InfoSchema, stdout);
  const location = info.success ? info.output.location.toLowerCase() : undefined;
  return LOCATIONS.find((known) => known === location);
}

const StatusSchema = v.pipe(v.string(), v.parseJson(), v.object({ versions: v.array(v.object({ version_id: v.string() })) }));
const VersionSchema = v.pipe(
  v.string(),
  v.parseJson(),
  v.object({
    resources: v.object({
      bindings: v.array(v.object({ name: v.string(), bucket_name: v.optional(v.string()), jurisdiction: v.optional(v.string()) })),
    }),
  }),
);

/** The bucket of the version that is deployed now; undefined if there is none, or Cloudflare does not say. */
async function bucketOfDeployed(worker: string, jurisdiction: string | undefined, wrangler: RunWrangler): Promise<string | undefined> {
  const status = v.safeParse(StatusSchema, (await wrangler(["deployments", "status", "--name", worker, "--json"])).stdout);
  const id = status.success ? status.output.versions[0]?.version_id : undefined;
  if (id === undefined) return undefined;
  const version = v.safeParse(VersionSchema, (await wrangler(["versions", "view", id, "--name", worker, "--json"])).stdout);
  const bindings = version.success ? version.output.resources.bindings : [];
  return bindings.find((binding) => binding.name === "BUCKET" && binding.jurisdiction === jurisdiction)?.bucket_name;
}
