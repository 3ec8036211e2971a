import * as v from "valibot";
import { ensureBucket } from "./deploy-bucket.ts";
import { withNamedBucket } from "./deploy-config.ts";
import { ensureLifecycle } from "./deploy-lifecycle.ts";
import type { Deployed, DeployOptions } from "./deploy-options.ts";
import { asArguments, placesToPass } from "./deploy-places.ts";
import type { DeployPlan } from "./deploy-plan.ts";
import { remedyFor } from "./deploy-remedy.ts";
import { describeNewOnPaidPlan } from "./deploy-text.ts";
import { ensureLocalUploads } from "./deploy-uploads.ts";
import { failed, type RunWrangler } from "./deploy-wrangler.ts";
import { done, refused, type Step } from "../step.ts";

/**
 * Deploys in four steps. Each step first checks what exists, so that a second run changes nothing. Refuses with wrangler's output and a remedy at the first
 * step that fails.
 */
export async function deploy(
  plan: DeployPlan,
  options: DeployOptions,
  run: RunWrangler,
  print: (line: string) => void,
): Promise<Step<Deployed>> {
  const wrangler: RunWrangler = (args) => run([...args, "--config", options.config]);
  print("1/4 Login");
  const login = await checkLogin(options.hasAccount || plan.hasAccount, options.hasToken, wrangler, print);
  if (!login.ok) return login;
  print(`2/4 Bucket ${plan.bucket.name}${plan.bucket.isNamed ? "" : ", named after the Worker"}`);
  const ready = await ensureBucket(plan, options.location ?? plan.places.location, wrangler, print);
  if (!ready.ok) return ready;
  if (ready.value.isNew && plan.plan === "paid") print(describeNewOnPaidPlan());
  const settled = { ...plan, bucket: { ...plan.bucket, name: ready.value.name } };
  print("3/4 Settings of the bucket");
  const lifecycle = await ensureLifecycle(settled, wrangler, print);
  if (!lifecycle.ok) return lifecycle;
  const uploads = await ensureLocalUploads(settled, options.localUploads, wrangler, print);
  if (!uploads.ok) return uploads;
  print(`4/4 Worker ${plan.worker}`);
  const passed = placesToPass(plan, options.location, ready.value.location);
  for (const { name, value } of passed) print(`  ${name} = "${value}"`);
  const domains = options.domains ? plan.domains.flatMap((host) => ["--domain", host]) : [];
  const deployWorker = async (config: string): Promise<Step<Deployed>> => {
    const deployed = await run(["deploy", ...domains, ...asArguments(passed), "--config", config]);
    if (!deployed.ok) return failed("deploy the Worker", deployed);
    return done({ urls: urlsIn(deployed.stdout), bucket: ready.value, localUploads: uploads.value, passed });
  };
  return plan.bucket.isNamed ? deployWorker(options.config) : withNamedBucket(options.config, ready.value.name, deployWorker);
}

const WhoamiSchema = v.object({ loggedIn: v.boolean(), accounts: v.optional(v.array(v.object({ name: v.string(), id: v.string() })), []) });

/** A token may deploy and yet not read who its user is; with a named account that is no reason to stop. */
async function checkLogin(
  hasAccount: boolean,
  hasToken: boolean,
  wrangler: RunWrangler,
  print: (line: string) => void,
): Promise<Step<void>> {
  const asked = await wrangler(["whoami", "--json"]);
  const who = v.safeParse(v.pipe(v.string(), v.parseJson(), WhoamiSchema), asked.stdout);
  if (who.success && !who.output.loggedIn) return refused(`Cannot deploy: wrangler is not logged in. ${remedyFor("not authenticated")}`);
  if (!asked.ok || !who.success) {
    if (!hasToken || !hasAccount) return failed("check the login", asked);
    print("  CLOUDFLARE_API_TOKEN may not read its user; the next steps show what it may do");
    return done(undefined);
  }
  const { accounts } = who.output;
  if (hasAccount || accounts.length < 2) return done(undefined);
  const listed = accounts.map(({ id, name }) => `  ${id}  ${name}`).join("\n");
  return refused(`Cannot choose between ${accounts.length} accounts:\n${listed}\n${remedyFor("more than one account")}`);
}

/** The targets that `wrangler deploy` printed: workers.dev URLs and custom domains. */
function urlsIn(stdout: string): readonly string[] {
  const urls = [...stdout.matchAll(/^ *(https:\/\/\S+\.workers\.dev)$|^ *(\S+) \(custom domain\b/gm)];
  return urls.map(([, url, domain]) => url ?? `https://${domain ?? ""}`);
}
