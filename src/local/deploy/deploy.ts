import * as v from "valibot";
import type { DeployPlan } from "./deploy-plan.ts";
import { remedyFor } from "./deploy-remedy.ts";
import type { RunWrangler, WranglerResult } from "./deploy-wrangler.ts";
import { done, refused, type Step } from "../step.ts";

/** What the command line of `npm run deploy` asked for. */
export interface DeployOptions {
  /** The wrangler.toml to deploy. */
  readonly config: string;
  /** Makes the mirrors' hosts custom domains of the Worker; Cloudflare then replaces the DNS records of these names. */
  readonly domains: boolean;
  /** R2's location hint, used if this command creates the bucket. */
  readonly location: string | undefined;
  /** Whether CLOUDFLARE_ACCOUNT_ID names an account. */
  readonly hasAccount: boolean;
}

/**
 * Deploys in four steps. Each step first checks what exists, so that a second run changes nothing. Returns the Worker's URLs; refuses with wrangler's
 * output and a remedy at the first step that fails.
 */
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
  if (who.success && !who.output.loggedIn) return refused(`Cannot deploy: wrangler is not logged in. ${remedyFor("not authenticated")}`);
  if (!asked.ok || !who.success) return failed("check the login", asked);
  const { accounts } = who.output;
  if (hasAccount || accounts.length < 2) return done(undefined);
  const listed = accounts.map(({ id, name }) => `  ${id}  ${name}`).join("\n");
  return refused(`Cannot choose between ${accounts.length} accounts:\n${listed}\n${remedyFor("more than one account")}`);
}

async function ensureBucket(
  bucket: DeployPlan["bucket"],
  options: DeployOptions,
  wrangler: RunWrangler,
  print: (line: string) => void,
): Promise<Step<void>> {
  const info = await wrangler(["r2", "bucket", "info", bucket.name, "--json", ...inJurisdiction(bucket)]);
  if (info.ok) {
    print("  exists");
    return done(undefined);
  }
  if (!/\bcode: 10006\b|does not exist/i.test(info.output)) return failed(`look for the bucket ${bucket.name}`, info);
  const location = options.location === undefined ? [] : ["--location", options.location];
  const created = await wrangler(["r2", "bucket", "create", bucket.name, ...location, ...inJurisdiction(bucket)]);
  // Code 10004: the bucket exists by now. Another deployment created it since we looked.
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
    print(`  ${rule.action}: ${state === "same" ? "exists" : "set"}`);
  }
  return done(undefined);
}

/** Finds the rule in wrangler's list: blocks of `label: value` lines, with an empty line between them. */
function stateOf(rule: DeployPlan["rules"][number], listed: string): "absent" | "same" | "other" {
  const block = listed.split(/\n\s*\n/).find((part) => valueIn(part, "name") === rule.name);
  if (block === undefined) return "absent";
  const isSame =
    valueIn(block, "action") === rule.action && valueIn(block, "enabled") === "Yes" && valueIn(block, "prefix") === "(all prefixes)";
  return isSame ? "same" : "other";
}

function valueIn(block: string, label: string): string | undefined {
  return new RegExp(`^${label}:\\s*(.*?)\\s*$`, "m").exec(block)?.[1];
}

function inJurisdiction({ jurisdiction }: DeployPlan["bucket"]): readonly string[] {
  return jurisdiction === undefined ? [] : ["--jurisdiction", jurisdiction];
}

/** The targets that `wrangler deploy` printed: workers.dev URLs and custom domains. */
function urlsIn(stdout: string): readonly string[] {
  const urls = [...stdout.matchAll(/^ *(https:\/\/\S+\.workers\.dev)$|^ *(\S+) \(custom domain\b/gm)];
  return urls.map(([, url, domain]) => url ?? `https://${domain ?? ""}`);
}

function failed(action: string, { output }: WranglerResult): Step<never> {
  return refused(`Cannot ${action}:\n${output.trim().replace(/^/gm, "  ")}\n${remedyFor(output)}`);
}
