import { isIP } from "node:net";
import * as v from "valibot";
import type { Config } from "../config/config.ts";
import { oversizedVariables } from "../config/oversized-variables.ts";
import { parseConfig } from "../config/parse-config.ts";
import { readToml } from "./project-file.ts";
import { done, refused, type Step } from "./step.ts";

/** What deploying does, as the wrangler.toml says. */
export interface DeployPlan {
  readonly worker: string;
  readonly bucket: Bucket;
  readonly rules: readonly LifecycleRule[];
  /** Hosts of the mirrors that can be custom domains: public names, exact. */
  readonly domains: readonly string[];
  /** Hosts that cannot: labels such as `fedora.*`, addresses, names of a private network. */
  readonly otherHosts: readonly string[];
  /** The file has routes of its own, such as the wildcard that labels need. */
  readonly hasRoutes: boolean;
  /** The file says which account. */
  readonly hasAccount: boolean;
  readonly mirrors: readonly string[];
  readonly plan: Config["plan"];
}

export interface Bucket {
  readonly name: string;
  readonly jurisdiction: string | undefined;
}

export interface LifecycleRule {
  readonly name: string;
  /** The option of `wrangler r2 bucket lifecycle add`. */
  readonly option: "--expire-days" | "--abort-multipart-days";
  readonly days: number;
  /** How `wrangler r2 bucket lifecycle list` tells of it. */
  readonly action: string;
}

/** The ledger deletes by RETENTION_DAYS; the rule is its backstop, and must never be quicker. */
const EXPIRY_MARGIN_DAYS = 7;

const FileSchema = v.object({
  name: v.string(),
  account_id: v.optional(v.string()),
  r2_buckets: v.array(v.object({ binding: v.string(), bucket_name: v.string(), jurisdiction: v.optional(v.string()) })),
  route: v.optional(v.unknown()),
  routes: v.optional(v.array(v.unknown()), []),
  vars: v.optional(v.record(v.string(), v.unknown()), {}),
});

/** Reads what is to be deployed, or says everything that would be refused, before anything is touched. */
export function readDeployPlan(path: string): Step<DeployPlan> {
  const table = readToml(path);
  if (!table.ok) return table;
  const file = v.safeParse(FileSchema, table.value);
  if (!file.success) return refused(...file.issues.map((issue) => `Cannot use ${v.getDotPath(issue)} of "${path}": ${issue.message}.`));
  const { name, r2_buckets: buckets, route, routes, vars } = file.output;
  const bucket = buckets.find(({ binding }) => binding === "BUCKET");
  const parsed = parseConfig(vars);
  const problems = [
    ...(bucket === undefined ? [`Cannot use r2_buckets of "${path}": one must have binding = "BUCKET".`] : []),
    ...(parsed.ok ? [] : parsed.problems),
    ...oversizedVariables(vars),
  ];
  if (bucket === undefined || !parsed.ok || problems.length > 0) return refused(...problems);
  const { config } = parsed;
  const hosts = [...config.mirrors.values()].flatMap((mirror) => mirror.hosts);
  const exact = hosts.flatMap((host) => (host.kind === "exact" ? [host.host] : []));
  return done({
    worker: name,
    bucket: { name: bucket.bucket_name, jurisdiction: bucket.jurisdiction },
    rules: lifecycleRules(config),
    domains: exact.filter(isPublicName),
    otherHosts: [
      ...exact.filter((host) => !isPublicName(host)),
      ...hosts.flatMap((host) => (host.kind === "label" ? [`${host.label}.*`] : [])),
    ],
    hasRoutes: route !== undefined || routes.length > 0,
    hasAccount: file.output.account_id !== undefined,
    mirrors: [...config.mirrors.keys()],
    plan: config.plan,
  });
}

function lifecycleRules({ retentionDays }: Config): readonly LifecycleRule[] {
  const days = Math.ceil(retentionDays) + EXPIRY_MARGIN_DAYS;
  return [
    { name: "lazy-mirror-expire", option: "--expire-days", days, action: `Expire objects after ${days} days` },
    {
      name: "lazy-mirror-abort-multipart",
      option: "--abort-multipart-days",
      days: 1,
      action: "Abort incomplete multipart uploads after 1 days",
    },
  ];
}

/** RFC 6761, RFC 6762, RFC 8375 and what networks at home use: no zone of these can be in an account. */
const PRIVATE_NAME = /(^|\.)(localhost|local|lan|internal|intranet|home|test|invalid|example|home\.arpa|workers\.dev)$/;

function isPublicName(host: string): boolean {
  return host.includes(".") && isIP(host.replace(/^\[|\]$/g, "")) === 0 && !PRIVATE_NAME.test(host);
}
