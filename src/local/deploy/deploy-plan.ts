import { isIP } from "node:net";
import * as v from "valibot";
import type { Config } from "../../config/config.ts";
import { parseConfig } from "../../config/parse-config.ts";
import { quotedText } from "../../config/table-schema.ts";
import { readToml, readVars } from "../project-file.ts";
import { done, refused, type Step } from "../step.ts";

/** What `npm run deploy` will do, read from the wrangler.toml. */
export type DeployPlan = ReturnType<typeof createPlan>;

/** The ledger deletes objects after RETENTION_DAYS. The rule is a backstop: if it came first, R2 would delete objects that the ledger counts as stored. */
const EXPIRY_MARGIN_DAYS = 7;

const FileSchema = v.object(
  {
    name: quotedText,
    account_id: v.optional(quotedText),
    r2_buckets: v.array(
      v.object({ binding: quotedText, bucket_name: quotedText, jurisdiction: v.optional(quotedText) }, "this key is required"),
      "write [[r2_buckets]] before its keys",
    ),
    route: v.optional(v.unknown()),
    routes: v.optional(v.array(v.unknown(), "write a list, even of one: [ … ]"), []),
  },
  "this key is required; the project's own wrangler.toml shows how",
);

/** Reads and checks the wrangler.toml before any step changes something. Refuses with every problem that would stop the deployment. */
export function readDeployPlan(path: string): Step<DeployPlan> {
  const table = readToml(path);
  if (!table.ok) return table;
  const file = v.safeParse(FileSchema, table.value);
  const bucket = file.success ? file.output.r2_buckets.find(({ binding }) => binding === "BUCKET") : undefined;
  const config = readConfig(path);
  const problems = [
    ...(file.issues ?? []).map((issue) => `Cannot use ${v.getDotPath(issue)} of "${path}": ${issue.message}.`),
    ...(file.success && bucket === undefined ? [`Cannot use r2_buckets of "${path}": one must have binding = "BUCKET".`] : []),
    ...(config.ok ? [] : config.problems),
  ];
  if (!file.success || bucket === undefined || !config.ok) return refused(...problems);
  return done(createPlan(file.output, bucket, config.value));
}

function readConfig(path: string): Step<Config> {
  const vars = readVars(path);
  if (!vars.ok) return vars;
  const parsed = parseConfig(vars.value);
  const problems = [...(parsed.ok ? [] : parsed.problems), ...oversizedVariables(vars.value)];
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

type File = v.InferOutput<typeof FileSchema>;

function createPlan({ name, account_id: account, route, routes }: File, bucket: File["r2_buckets"][number], config: Config) {
  const hosts = [...config.mirrors.values()].flatMap((mirror) => mirror.hosts);
  const exact = [...hosts.flatMap((host) => (host.kind === "exact" ? [host.host] : [])), ...(config.operatorHosts ?? [])];
  const labels = hosts.flatMap((host) => (host.kind === "label" ? [`${host.label}.*`] : []));
  return {
    worker: name,
    bucket: { name: bucket.bucket_name, jurisdiction: bucket.jurisdiction },
    rules: lifecycleRules(config),
    /** The mirrors' hosts, and those of the operator's pages, that can be custom domains. */
    domains: exact.filter(isPublicName),
    otherHosts: [...exact.filter((host) => !isPublicName(host)), ...labels],
    /** Whether the file itself has routes, such as the wildcard route that labels need. */
    hasRoutes: route !== undefined || routes.length > 0,
    hasAccount: account !== undefined,
    mirrors: [...config.mirrors.keys()],
    plan: config.plan,
  };
}

/** `option` is for `wrangler r2 bucket lifecycle add`, and `action` what `wrangler r2 bucket lifecycle list` prints. */
function lifecycleRules({ retentionDays }: Config) {
  const days = Math.ceil(retentionDays) + EXPIRY_MARGIN_DAYS;
  const abort = "Abort incomplete multipart uploads after 1 days";
  return [
    { name: "lazy-mirror-expire", option: "--expire-days", days, action: `Expire objects after ${days} days` },
    { name: "lazy-mirror-abort-multipart", option: "--abort-multipart-days", days: 1, action: abort },
  ];
}

/** Names of RFC 6761, RFC 6762 and RFC 8375, and names that home networks use: no Cloudflare account can have a zone of these. */
const PRIVATE_NAME = /(^|\.)(localhost|local|lan|internal|intranet|home|test|invalid|example|home\.arpa|workers\.dev)$/;

function isPublicName(host: string): boolean {
  return host.includes(".") && isIP(host.replace(/^\[|\]$/g, "")) === 0 && !PRIVATE_NAME.test(host);
}
