import type { DeployOptions } from "./deploy.ts";
import type { DeployPlan } from "./deploy-plan.ts";

/** The text of `--dry-run`: every step and its commands. */
export function describePlan(plan: DeployPlan, { domains, location, config }: DeployOptions): string {
  const { bucket, rules, worker } = plan;
  const at = bucket.jurisdiction === undefined ? "" : ` --jurisdiction ${bucket.jurisdiction}`;
  const attached = domains ? plan.domains.map((host) => ` --domain ${host}`).join("") : "";
  return [
    `Would deploy ${config} for the ${plan.plan} plan: ${plan.mirrors.length} mirrors (${plan.mirrors.join(", ")}).`,
    "",
    "1/4 Login: wrangler whoami",
    `2/4 Bucket, if it does not exist: wrangler r2 bucket create ${bucket.name}${location === undefined ? "" : ` --location ${location}`}${at}`,
    "3/4 Lifecycle rules, if they do not exist or differ:",
    ...rules.map(({ name, option, days }) => `    wrangler r2 bucket lifecycle add ${bucket.name} ${name} ${option} ${days}${at}`),
    `4/4 Worker ${worker}: wrangler deploy${attached}`,
    "",
    ...describeHosts(plan, domains),
    "Nothing was changed.",
  ].join("\n");
}

/** The text after a successful deployment: the mirrors' URLs, and what to do next. */
export function describeDeployed(plan: DeployPlan, { domains }: DeployOptions, urls: readonly string[]): string {
  const workersDev = urls.find((url) => url.endsWith(".workers.dev"));
  const base = workersDev ?? urls[0] ?? "https://<your domain>";
  return [
    "Deployed.",
    ...urls.map((url) => `  ${url}/`),
    ...(workersDev === undefined ? [] : plan.mirrors.map((name) => `  ${workersDev}/${name}/`)),
    "",
    ...describeHosts(plan, domains),
    "Next:",
    `  curl -sS ${base}/-/health        answers 200`,
    `  ${base}/-/setup/        how to set up each client`,
    "  docs/deploy.md        plain http for apt, the WAF rule, and the checklist for a new deployment",
    ...(plan.plan === "paid" ? ['  On Cloudflare\'s free plan set PLAN = "free" in [vars] and deploy again.'] : []),
  ].join("\n");
}

function describeHosts({ domains, otherHosts, hasRoutes }: DeployPlan, attached: boolean): readonly string[] {
  const lines = [
    ...(domains.length > 0 && !attached
      ? [`Not attached: ${domains.join(", ")}. --domains makes them custom domains and replaces their DNS records.`]
      : []),
    ...(otherHosts.length > 0 && !hasRoutes ? [`No custom domain can be: ${otherHosts.join(", ")} (docs/deploy.md, Domains).`] : []),
  ];
  return lines.length === 0 ? [] : [...lines, ""];
}
