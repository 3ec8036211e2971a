import { commandName } from "../command-name.ts";
import { placeOfBucket } from "./deploy-bucket.ts";
import { abortRule } from "./deploy-lifecycle.ts";
import type { Deployed, DeployOptions } from "./deploy-options.ts";
import { asArguments, placesToPass } from "./deploy-places.ts";
import type { DeployPlan } from "./deploy-plan.ts";
import { inJurisdiction } from "./deploy-wrangler.ts";

/** The text of `--dry-run`: every step and its commands. */
export function describePlan(plan: DeployPlan, { domains, location, localUploads, config }: DeployOptions): string {
  const { bucket, worker, places } = plan;
  const at = ["", ...inJurisdiction(bucket)].join(" ");
  const created = ["wrangler r2 bucket create", bucket.name, ...placeOfBucket(bucket, location ?? places.location)].join(" ");
  const attached = domains ? plan.domains.flatMap((host) => ["--domain", host]) : [];
  const deployed = ["wrangler deploy", ...attached, ...asArguments(placesToPass(plan, location, undefined))].join(" ");
  const isPlaceOpen = location === undefined && places.location === undefined;
  return [
    `Would deploy ${config} for the ${plan.plan} plan: ${plan.mirrors.length} mirrors (${plan.mirrors.join(", ")}).`,
    "",
    "1/4 Login: wrangler whoami",
    `2/4 Bucket, if it does not exist: ${created}`,
    ...(bucket.isNamed
      ? []
      : [`    The file names no bucket. It gets the Worker's name, unless the deployed Worker has one: that one is kept.`]),
    "3/4 Settings of the bucket, where they are missing or differ:",
    `    wrangler r2 bucket lifecycle add ${bucket.name} ${abortRule(worker).join(" ")}${at}`,
    "    An expiring rule that earlier versions set (lazy-mirror-expire) is removed.",
    ...(localUploads ? [`    wrangler r2 bucket local-uploads enable ${bucket.name}`] : []),
    `4/4 Worker ${worker}: ${deployed}`,
    ...(isPlaceOpen
      ? ["    Its Durable Objects are to lie where the bucket lies, if that exists and R2 says where (--var LOCATION:…)."]
      : []),
    "",
    ...describeHosts(plan, domains),
    "Nothing was changed.",
  ].join("\n");
}

/** What a first deployment with PLAN = "paid" says before the Worker is deployed. */
export function describeNewOnPaidPlan(): string {
  return [
    '  PLAN = "paid" is for the paid plan of Workers. The free one ends each request after 10 ms of CPU and 50 subrequests: downloads would break off, and indexes not be read.',
    '  On the free plan write PLAN = "free" in [vars] and deploy again; nothing else has to change.',
  ].join("\n");
}

/** The text after a successful deployment: the mirrors' URLs, and what to do next. */
export function describeDeployed(plan: DeployPlan, { domains, config }: DeployOptions, deployed: Deployed): string {
  const { urls, bucket, localUploads, passed } = deployed;
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
    `  ${commandName("doctor")} ${base}        asks as clients do, and says what to do about what is wrong`,
    `  ${base}/-/setup/        how to set up each client`,
    "  docs/deploy.md        plain http for apt, the WAF rule, and what only the eye can check",
    ...(bucket.isNew && plan.plan === "paid" ? ['  On Cloudflare\'s free plan set PLAN = "free" in [vars] and deploy again.'] : []),
    ...(passed.length === 0
      ? []
      : [
          `  ${passed.map(({ name, value }) => `${name} = "${value}"`).join(", ")} in [vars] of ${config} says so to plain wrangler deploy, too`,
        ]),
    ...(localUploads === "off"
      ? [
          `  Clients far from the bucket? ${commandName("deploy")} --local-uploads: R2 then takes what is stored near them first (docs/deploy.md, Placement)`,
        ]
      : []),
  ].join("\n");
}

/** Why --domains cannot be used. */
export function noDomains({ otherHosts }: DeployPlan): string {
  const others = otherHosts.length === 0 ? "no mirror has a host" : `none of the mirrors' hosts can be one (${otherHosts.join(", ")})`;
  return `Cannot make custom domains: ${others}; write hosts = ["debian.example.com"] with a domain of your account, or deploy without --domains (docs/deploy.md, Domains).`;
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
