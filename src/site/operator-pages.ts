import { type Context, Hono } from "hono";
import { createGuard } from "./guard.ts";
import { formatMetrics, METRICS_TYPE } from "./metrics.ts";
import { COMMON, isBrowser, json, page, text } from "./respond.ts";
import { gatherStatus, type StatusSources } from "./status.ts";
import { StatusPage } from "./status-page.tsx";
import { STATUS_SCRIPT } from "./status-script.ts";
import { gatherWhy, type WhySources } from "./why.ts";
import { WhyPage } from "./why-page.tsx";

/** What the operator's pages show. */
export interface OperatorPagesDependencies {
  readonly isLocal: boolean;
  readonly status: StatusSources;
  readonly why: WhySources;
}

/** Status, metrics and why: the pages behind the operator's token (guard.ts). */
export function createOperatorPages(token: string | undefined, { isLocal, status, why }: OperatorPagesDependencies): Hono {
  const pages = new Hono({ strict: false });
  for (const path of ["/status", "/status.json", "/status.js", "/metrics", "/why", "/why/*", "/why.json/*"])
    pages.use(path, createGuard(token));

  pages.get("/status", async (context) => {
    const gathered = await gatherStatus(status);
    return isBrowser(context) ? page(context, StatusPage({ status: gathered, isLocal })) : json(context, gathered);
  });
  pages.get("/status.json", async (context) => json(context, await gatherStatus(status)));
  pages.get("/status.js", (context) => context.body(STATUS_SCRIPT, 200, { ...COMMON, "Content-Type": "text/javascript; charset=utf-8" }));
  pages.get("/metrics", async (context) => context.body(await formatMetrics(status), 200, { ...COMMON, "Content-Type": METRICS_TYPE }));
  pages.get("/why/*", (context) => answerWhy(context, "/-/why/", isBrowser(context)));
  pages.get("/why.json/*", (context) => answerWhy(context, "/-/why.json/", false));
  return pages;

  async function answerWhy(context: Context, prefix: string, isHtml: boolean): Promise<Response> {
    const { pathname, search } = new URL(context.req.url);
    const found = await gatherWhy(why, pathname.slice(prefix.length) + search);
    if ("refused" in found) return text(context, `${found.refused}\n`, 404);
    return isHtml ? page(context, WhyPage({ why: found, now: why.now() })) : json(context, found);
  }
}
