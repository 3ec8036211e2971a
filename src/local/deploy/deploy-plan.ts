import * as v from "valibot";
import { type Config, problemsAtEdge } from "../../config/config.ts";
import { parseConfig } from "../../config/parse-config.ts";
import { formatHostPattern } from "../../config/host-names.ts";
import { isPublicName } from "../../config/public-host.ts";
import { quotedText } from "../../config/table-schema.ts";
import { readToml, readVars } from "../project-file.ts";
import { done, refused, type Step } from "../step.ts";

/** What `npm run deploy` will do, read from the wrangler.toml. */
export type DeployPlan = ReturnType<typeof createPlan>;

const FileSchema = v.object(
  {
    name: quotedText,
    account_id: v.optional(quotedText),
    r2_buckets: v.array(
      v.object({ binding: quotedText, bucket_name: v.optional(quotedText), jurisdiction: v.optional(quotedText) }, "this key is required"),
      "write [[r2_buckets]] before its keys",
    ),
    route: v.optional(v.unknown()),
    routes: v.optional(v.array(v.unknown(), "write a list, even of one: [ … ]"), []),
  },
  "this key is required; the project's own wrangler.toml shows how",
);

/**
 * Reads and checks the wrangler.toml before any step changes something. `worker`: the Worker's name if it is not the file's, as in Workers Builds. Refuses
 * with every problem that would stop the deployment.
 */
export function readDeployPlan(path: string, worker?: string): Step<DeployPlan> {
  const table = readToml(path);
  if (!table.ok) return table;
  const file = v.safeParse(FileSchema, table.value);
  const bucket = file.success ? file.output.r2_buckets.find(({ binding }) => binding === "BUCKET") : undefined;
  const config = readConfig(path);
  const problems = [
    ...(file.issues ?? []).map((issue) => `Cannot use ${v.getDotPath(issue)} of "${path}": ${issue.message}.`),
    ...(file.success && bucket === undefined ? [`Cannot use r2_buckets of "${path}": one must have binding = "BUCKET".`] : []),
    ...(bucket === undefined || bucket.bucket_name !== undefined || !file.success ? [] : unfitName(worker ?? file.output.name)),
    ...(config.ok ? [] : config.problems),
  ];
  if (!file.success || bucket === undefined || !config.ok || problems.length > 0) return refused(...problems);
  const outside = outsideOf(bucket, config.value);
  return outside === null ? done(createPlan({ ...file.output, name: worker ?? file.output.name }, bucket, config.value)) : refused(outside);
}

function readConfig(path: string): Step<Config> {
  const vars = readVars(path);
  if (!vars.ok) return vars;
  const parsed = parseConfig(vars.value);
  const problems = [...(parsed.ok ? problemsAtEdge(parsed.config) : parsed.problems), ...oversizedVariables(vars.value)];
  return parsed.ok && problems.length === 0 ? done(parsed.config) : refused(...problems);
}

/** Cloudflare refuses to deploy a longer variable (a text, or a table as JSON). The one-machine server has no such limit. */
const MAX_VARIABLE_BYTES = 5000;

/** One problem for each variable that Cloudflare would refuse. @internal */
export function oversizedVariables(vars: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(vars).flatMap(([name, value]) => {
    const bytes = Buffer.byteLength(typeof value === "string" ? value : JSON.stringify(value));
    const wanted = `it has ${bytes} bytes; move tables to [vars.MIRRORS_<anything>], each at most ${MAX_VARIABLE_BYTES}`;
    return bytes > MAX_VARIABLE_BYTES ? [`Cannot use ${name}: ${wanted}`] : [];
  });
}

/** R2's rules for the name of a bucket (R2, Create buckets). */
const BUCKET_NAME = /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/;

/** A bucket that the file does not name has the Worker's name, which may be none for a bucket. */
function unfitName(worker: string): string[] {
  const wanted = 'write bucket_name = "…" in [[r2_buckets]], of 3 to 63 characters a-z, 0-9 and -';
  return BUCKET_NAME.test(worker) ? [] : [`Cannot name the bucket after Worker "${worker}": ${wanted}.`];
}

type File = v.InferOutput<typeof FileSchema>;
type FileBucket = File["r2_buckets"][number];

/** What is wrong with a jurisdiction of the Durable Objects that is not the bucket's: half of the mirror would lie outside. Null: nothing. */
function outsideOf(bucket: FileBucket, { jurisdiction }: Config): string | null {
  if (jurisdiction === undefined || jurisdiction === bucket.jurisdiction) return null;
  const bucketIs = bucket.jurisdiction === undefined ? "in no jurisdiction" : `in "${bucket.jurisdiction}"`;
  return `Cannot use JURISDICTION "${jurisdiction}": the bucket is ${bucketIs}; write jurisdiction = "${jurisdiction}" in [[r2_buckets]], which then names another bucket, or remove JURISDICTION.`;
}

function createPlan({ name, account_id: account, route, routes }: File, bucket: FileBucket, config: Config) {
  const hosts = [...config.mirrors.values()].flatMap((mirror) => mirror.hosts);
  const whole = hosts.flatMap((host) => (host.kind === "exact" && host.folder === "" ? [host.host] : []));
  const exact = [...new Set([...whole, ...config.serverNames, ...(config.operatorHosts ?? [])])];
  // Of a host with a folder the rest is another server's.
  const others = hosts.filter((host) => host.kind === "label" || host.folder !== "").map(formatHostPattern);
  return {
    worker: name,
    /** `isNamed`: the file names it. Otherwise it has the Worker's name, so that two Workers never share one by accident. */
    bucket: { name: bucket.bucket_name ?? name, isNamed: bucket.bucket_name !== undefined, jurisdiction: bucket.jurisdiction },
    /** Where the Durable Objects are to lie, as [vars] says. */
    places: { location: config.location, jurisdiction: config.jurisdiction },
    /** The mirrors' hosts, and those of the operator's pages, that can be custom domains. */
    domains: exact.filter(canBeDomain),
    otherHosts: [...exact.filter((host) => !canBeDomain(host)), ...others],
    /** Whether the file itself has routes, such as the wildcard route that labels need. */
    hasRoutes: route !== undefined || routes.length > 0,
    hasAccount: account !== undefined,
    mirrors: [...config.mirrors.keys()],
    plan: config.plan,
  };
}

/** Whether a Cloudflare account may have the zone of this host. */
function canBeDomain(host: string): boolean {
  return isPublicName(host) && !host.endsWith(".workers.dev");
}
