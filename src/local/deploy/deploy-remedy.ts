/** Patterns of wrangler's output, and what to do. The first that matches wins. Codes are the Cloudflare API's. */
const REMEDIES: readonly (readonly [printed: RegExp, remedy: string])[] = [
  [/^Cannot run |Cannot find module/, "Run `npm ci` first: wrangler comes with the project."],
  [/more than one account/i, "Name the account: export CLOUDFLARE_ACCOUNT_ID=<id> (`npx wrangler whoami` lists them), and deploy again."],
  [
    /\bcode: 10042\b|enable R2/i,
    "R2 is not enabled: open R2 in the dashboard once, accept its terms (also for the free 10 GB), and deploy again.",
  ],
  [
    /\bcode: 10063\b|register a workers\.dev subdomain/i,
    "Open Workers & Pages in the dashboard once: that registers a workers.dev name. Then deploy again.",
  ],
  [
    /could not find zone|zone.*not found/i,
    "No zone of this account has the host of a mirror: add its domain to Cloudflare, or remove the host from wrangler.toml, or deploy without --domains.",
  ],
  [
    /\bcode: 100117\b|externally managed DNS/i,
    "The host of a mirror already has a DNS record: delete the record in the dashboard, or use a route instead (docs/deploy.md, Domains).",
  ],
  [/cron trigger/i, "The account has used all its cron triggers (5 on the free plan): delete one of another Worker."],
  [/\bcode: 100328\b|CPU limits are not supported/i, "Remove [limits] from wrangler.toml: the free plan has its own limit."],
  [/\bcode: 10027\b|script (is )?too large/i, "The bundle is larger than Cloudflare takes: deploy the unmodified project."],
  [/startup exceeded|\bcode: 10021\b/i, "Cloudflare could not start the script or one of its bindings: the text above names it."],
  [
    /migrations.{0,20}exports|exports.{0,20}(migrations|reconciliation)/i,
    "Keep [[migrations]] as they were deployed, and no Durable Objects in [exports]: Cloudflare takes one of the two, and never goes back from [exports].",
  ],
  [
    /workers paid|paid plan/i,
    'This needs the paid plan of Workers: choose it in the dashboard (Workers & Pages, Plans), or write PLAN = "free" in [vars], remove what is refused, and deploy again.',
  ],
  [/migration/i, "Do not change [[migrations]] that were deployed before: add a new one after them, with a new tag."],
  [
    /\bcode: (10000|9106|9109)\b|authentication|not authenticated|CLOUDFLARE_API_TOKEN|insufficient permission|unauthorized/i,
    "Log in with `npx wrangler login`, or set CLOUDFLARE_API_TOKEN to a token of the template “Edit Cloudflare Workers” with Workers R2 Storage: Edit added.",
  ],
  [
    /rate limit|\bcode: 971\b|too many requests/i,
    "This account has sent too many requests to Cloudflare's API: wait five minutes and deploy again.",
  ],
  [/jurisdiction/i, "A bucket's jurisdiction is fixed when it is created: correct jurisdiction in [[r2_buckets]], or name another bucket."],
  [
    /local.?uploads/i,
    "Local Uploads are a beta of R2: deploy without --local-uploads. The mirror works without them; writes from far away take longer.",
  ],
  [
    /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|fetch failed|network/i,
    "wrangler could not reach api.cloudflare.com: check the network or the proxy, and deploy again.",
  ],
];

/** One or two sentences: what to do about a failure with this output of wrangler. */
export function remedyFor(output: string): string {
  const [, remedy] = REMEDIES.find(([printed]) => printed.test(output)) ?? [];
  return remedy ?? "The text above is wrangler's own. You can deploy again safely: each step first checks what exists.";
}
