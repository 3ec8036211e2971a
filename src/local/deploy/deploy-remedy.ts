/** What wrangler says, and what to do about it. The first that matches wins. Codes are of the Cloudflare API. */
const REMEDIES: readonly (readonly [said: RegExp, remedy: string])[] = [
  [/^Cannot run |Cannot find module/, "Run `npm ci` first: wrangler comes with the project."],
  [/more than one account/i, "Say which account: export CLOUDFLARE_ACCOUNT_ID=<id> (`npx wrangler whoami` lists them), and deploy again."],
  [
    /\bcode: 10042\b|enable R2/i,
    "R2 is not enabled: open R2 in the dashboard once and accept its terms (the free 10 GB need it too), and deploy again.",
  ],
  [
    /\bcode: 10063\b|register a workers\.dev subdomain/i,
    "Open Workers & Pages in the dashboard once, which registers a workers.dev name, and deploy again.",
  ],
  [
    /could not find zone|zone.*not found/i,
    "A host of a mirror is in no zone of this account: add its domain to Cloudflare, or take the host out of wrangler.toml, or deploy without --domains.",
  ],
  [
    /\bcode: 100117\b|externally managed DNS/i,
    "A host of a mirror has a DNS record already: delete the record in the dashboard, or use a route instead (docs/deploy.md, Domains).",
  ],
  [/cron trigger/i, "The account has no cron trigger left (5 on the free plan): delete one of another Worker."],
  [/\bcode: 100328\b|CPU limits are not supported/i, "Take [limits] out of wrangler.toml: the free plan has a limit of its own."],
  [
    /\bcode: 10027\b|script (is )?too large/i,
    "The bundle is over the plan's limit (3 MB compressed on the free plan): run the unmodified project.",
  ],
  [/startup exceeded|\bcode: 10021\b/i, "Cloudflare refused the script or one of its bindings as it started: the text above says which."],
  [/migration/i, "Leave the [[migrations]] that were deployed before as they are, and add new ones behind them with a tag of their own."],
  [
    /\bcode: (10000|9106|9109)\b|authentication|not authenticated|CLOUDFLARE_API_TOKEN|insufficient permission|unauthorized/i,
    "Log in with `npx wrangler login`, or set CLOUDFLARE_API_TOKEN to a token of the template “Edit Cloudflare Workers” with Workers R2 Storage: Edit added.",
  ],
  [
    /rate limit|\bcode: 971\b|too many requests/i,
    "Cloudflare's API is asked too often from this account: wait five minutes and deploy again.",
  ],
  [
    /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|fetch failed|network/i,
    "api.cloudflare.com could not be reached: check the network or the proxy, and deploy again.",
  ],
];

/** One sentence: what to do about what wrangler said. */
export function remedyFor(output: string): string {
  const [, remedy] = REMEDIES.find(([said]) => said.test(output)) ?? [];
  return remedy ?? "Wrangler's own words are above. Deploying again is safe: each step looks first at what is there.";
}
