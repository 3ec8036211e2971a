import { type Context, Hono } from "hono";
import { createGuard } from "./guard.ts";
import type { OperatorDependencies } from "./operator-api.ts";
import { formatMetrics, METRICS_TYPE } from "./metrics.ts";
import { readQuestion } from "./read-question.ts";
import { isBrowser, send, sendJson, sendPage, sendText } from "./respond.ts";
import { gatherStatus, type StatusSources } from "./status.ts";
import { StatusPage } from "./status-page.tsx";
import { STATUS_SCRIPT } from "./status-script.ts";
import { gatherWhy, type WhySources } from "./why.ts";
import { WhyPage, WhySearchPage } from "./why-page.tsx";

/** What the operator's pages show. */
export interface OperatorPagesDependencies {
  readonly isLocal: boolean;
  readonly status: StatusSources;
  readonly why: WhySources;
}

/** Status, metrics and why: the pages behind the operator's token, or the one that only reads (guard.ts). */
export function createOperatorPages(
  { token, readToken, logins }: Pick<OperatorDependencies, "token" | "readToken" | "logins">,
  { isLocal, status, why }: OperatorPagesDependencies,
): Hono {
  const pages = new Hono({ strict: false });
  for (const path of ["/status", "/status.json", "/status.js", "/metrics", "/why", "/why/*", "/why.json/*"])
    pages.use(path, createGuard([token, readToken], logins));

  pages.get("/status", async (context) => {
    const gathered = await gatherStatus(status);
    return isBrowser(context)
      ? sendPage(context, StatusPage({ status: gathered, isLocal, base: baseFrom(context) }))
      : sendJson(context, gathered);
  });
  pages.get("/status.json", async (context) => sendJson(context, await gatherStatus(status)));
  pages.get("/status.js", (context) => send(context, "text/javascript; charset=utf-8", STATUS_SCRIPT));
  pages.get("/metrics", async (context) => send(context, METRICS_TYPE, await formatMetrics(status)));
  pages.get("/why", (context) => {
    const asked = context.req.query("q")?.trim() ?? "";
    const question = readQuestion(why.config, asked);
    const base = baseFrom(context);
    // Relative, as all links here are: behind a balancer each instance has its own path.
    if (asked !== "" && question.kind === "file")
      return send(context, "text/plain; charset=utf-8", "", 303, { Location: `${base}why/${question.path}` });
    const meant = question.kind === "unclear" ? question.meant : [];
    const problem = asked === "" ? undefined : `No mirror has the path ${asked}: begin it with the name of a mirror.`;
    return sendPage(
      context,
      WhySearchPage({ text: asked, meant, ...(problem === undefined ? {} : { problem }), base }),
      problem === undefined ? 200 : 404,
    );
  });
  pages.get("/why/*", (context) => answerWhy(context, "/-/why/", isBrowser(context)));
  pages.get("/why.json/*", (context) => answerWhy(context, "/-/why.json/", false));
  return pages;

  function sendUnknown(context: Context, problem: string): Promise<Response> {
    const text = decodePath(new URL(context.req.url).pathname.slice("/-/why/".length));
    const question = readQuestion(why.config, text);
    return sendPage(
      context,
      WhySearchPage({ text, meant: question.kind === "unclear" ? question.meant : [], problem, base: baseFrom(context) }),
      404,
    );
  }

  async function answerWhy(context: Context, prefix: string, isHtml: boolean): Promise<Response> {
    const { pathname, search } = new URL(context.req.url);
    const found = await gatherWhy(why, pathname.slice(prefix.length) + search);
    if ("refused" in found) return isHtml ? sendUnknown(context, found.refused) : sendText(context, `${found.refused}\n`, 404);
    return isHtml ? sendPage(context, WhyPage({ why: found, now: why.now(), base: baseFrom(context) })) : sendJson(context, found);
  }
}

/** The way from the page that is asked for to `/-/`, where a balancer may have another path for it: "" from `/-/status`, "../../" from `/-/why/debian/x`. */
function baseFrom(context: Context): string {
  return "../".repeat(new URL(context.req.url).pathname.split("/").length - 3);
}

/** A path as it was typed; one that no percent-encoding explains stays as it is. */
function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
