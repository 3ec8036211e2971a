import * as v from "valibot";
import type { Bucket, DeployPlan, LifecycleRule } from "./deploy-plan.ts";
import { remedyFor } from "./deploy-remedy.ts";
import type { RunWrangler, WranglerResult } from "./deploy-wrangler.ts";
import { done, refused, type Step } from "../step.ts";

export interface DeployOptions {
  /** The wrangler.toml to deploy. */
  readonly config: string;
  /** Makes the mirrors' hosts custom domains of the Worker; existing DNS records of these names are replaced. */
  readonly domains: boolean;
  /** R2's location hint for a bucket that is created now. */
  readonly location: string | undefined;
  /** An account is named by CLOUDFLARE_ACCOUNT_ID. */
  readonly hasAccount: boolean;
}

/** Deploys, step by step; each step looks first at what is there, so that doing it again changes nothing. Gives the URLs. */
export async function deploy(
  plan: DeployPlan,
  options: DeployOptions,
  run: RunWrangler,
  print: (line: string) => void,
): Promise<Step<readonly string[]>> {
  const wrangler: RunWrangler = (args) => run([...args, "--config", options.config]);
  print("1/4 Login");
  const login = await checkLogin(options.hasAccount || plan.hasAccount, wrangler);
  if (!login.ok) return login;
  print(`2/4 Bucket ${plan.bucket.name}`);
  const bucket = await ensureBucket(plan.bucket, options, wrangler, print);
  if (!bucket.ok) return bucket;
  print("3/4 Lifecycle rules");
  const rules = await ensureRules(plan, wrangler, print);
  if (!rules.ok) return rules;
  print(`4/4 Worker ${plan.worker}`);
  const domains = options.domains ? plan.domains.flatMap((host) => ["--domain", host]) : [];
  const deployed = await wrangler(["deploy", ...domains]);
  return deployed.ok ? done(urlsIn(deployed.stdout)) : failed("deploy the Worker", deployed);
}

const WhoamiSchema = v.object({ loggedIn: v.boolean(), accounts: v.optional(v.array(v.object({ name: v.string(), id: v.string() })), []) });

async function checkLogin(hasAccount: boolean, wrangler: RunWrangler): Promise<Step<void>> {
  const asked = await wrangler(["whoami", "--json"]);
  const who = v.safeParse(v.pipe(v.string(), v.parseJson(), WhoamiSchema), asked.stdout);
  if (who.success && !who.output.loggedIn) return refused(`Cannot deploy: nobody is logged in. ${remedyFor("not authenticated")}`);
  if (!asked.ok || !who.success) return failed("find out who is logged in", asked);
  const { accounts } = who.output;
  if (hasAccount || accounts.length < 2) return done(undefined);
  const listed = accounts.map(({ id, name }) => `  ${id}  ${name}`).join("\n");
  return refused(`Cannot choose between ${accounts.length} accounts:\n${listed}\n${remedyFor("more than one account")}`);
}

async function ensureBucket(
  bucket: Bucket,
  options: DeployOptions,
  wrangler: RunWrangler,
  print: (line: string) => void,
): Promise<Step<void>> {
  const info = await wrangler(["r2", "bucket", "info", bucket.name, "--json", ...inJurisdiction(bucket)]);
  if (info.ok) {
    print("  is there");
    return done(undefined);
  }
  if (!/\bcode: 10006\b|does not exist/i.test(info.output)) return failed(`look for the bucket ${bucket.name}`, info);
  const location = options.location === undefined ? [] : ["--location", options.location];
  const created = await wrangler(["r2", "bucket", "create", bucket.name, ...location, ...inJurisdiction(bucket)]);
  // Somebody else deploys at the same time.
  const isThere = created.ok || /\bcode: 10004\b/.test(created.output);
  if (isThere) print("  created");
  return isThere ? done(undefined) : failed(`create the bucket ${bucket.name}`, created);
}

async function ensureRules({ bucket, rules }: DeployPlan, wrangler: RunWrangler, print: (line: string) => void): Promise<Step<void>> {
  const lifecycle = (verb: string, ...args: string[]) =>
    wrangler(["r2", "bucket", "lifecycle", verb, bucket.name, ...args, ...inJurisdiction(bucket)]);
  const listed = await lifecycle("list");
  if (!listed.ok) return failed(`list the lifecycle rules of ${bucket.name}`, listed);
  for (const rule of rules) {
    const state = stateOf(rule, listed.stdout);
    if (state === "other") {
      const removed = await lifecycle("remove", "--name", rule.name);
      if (!removed.ok) return failed(`remove the lifecycle rule ${rule.name}`, removed);
    }
    if (state !== "same") {
      const added = await lifecycle("add", rule.name, rule.option, String(rule.days), "--force");
      if (!added.ok) return failed(`add the lifecycle rule ${rule.name}`, added);
    }
    print(`  ${rule.action}: ${state === "same" ? "is there" : "set"}`);
  }
  return done(undefined);
}

/** Wrangler lists rules as blocks of `label: value` lines, one empty line between them. */
function stateOf(rule: LifecycleRule, listed: string): "absent" | "same" | "other" {
  const block = listed.split(/\n\s*\n/).find((part) => valueIn(part, "name") === rule.name);
  if (block === undefined) return "absent";
  const isSame =
    valueIn(block, "action") === rule.action && valueIn(block, "enabled") === "Yes" && valueIn(block, "prefix") === "(all prefixes)";
  return isSame ? "same" : "other";
}

function valueIn(block: string, label: string): string | undefined {
  return new RegExp(`^${label}:\\s*(.*?)\\s*$`, "m").exec(block)?.[1];
}

function inJurisdiction({ jurisdiction }: Bucket): readonly string[] {
  return jurisdiction === undefined ? [] : ["--jurisdiction", jurisdiction];
}

/** What wrangler printed as targets: workers.dev URLs and custom domains. */
function urlsIn(stdout: string): readonly string[] {
  const urls = [...stdout.matchAll(/^ *(https:\/\/\S+\.workers\.dev)$|^ *(\S+) \(custom domain\b/gm)];
  return urls.map(([, url, domain]) => url ?? `https://${domain ?? ""}`);
}

function failed(action: string, { output }: WranglerResult): Step<never> {
  return refused(`Cannot ${action}:\n${output.trim().replace(/^/gm, "  ")}\n${remedyFor(output)}`);
}
