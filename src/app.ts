import { type Context, Hono } from "hono";
import type { Config, Mirror } from "./config/config.ts";
import { siteAddress, UNKNOWN_HOST } from "./site/address.ts";
import { PAGE_SCRIPT } from "./site/page-script.ts";
import { LandingPage, SetupOverview, SetupPage, UnknownHostPage } from "./site/setup-pages.tsx";
import { setupOf } from "./site/setup-of.ts";
import { formatRefusal, formatSetupScript } from "./site/setup-script.ts";
import { clientOfAgent, findSnippet } from "./site/snippet.ts";
import { snippetsOf } from "./site/snippets-of.ts";
import { createOperatorApi, type OperatorDependencies } from "./site/operator-api.ts";
import { createOperatorPages, type OperatorPagesDependencies } from "./site/operator-pages.ts";
import { createRepositoryLinks, type RepositoryLinksDependencies } from "./site/repository-links.ts";
import { isBrowser, send, sendPage, sendScript, sendText, visitOf } from "./site/respond.ts";
import { STYLE } from "./site/style.ts";

/** What the pages for newcomers and for the operator need. */
export interface SiteDependencies {
  readonly config: Config;
  /** Hosts and addresses that the server has beside the configured hosts. */
  readonly ownHosts: readonly string[];
  readonly operator: OperatorDependencies;
  readonly pages: OperatorPagesDependencies;
  readonly links: RepositoryLinksDependencies;
}

/** The pages under `/-/`, and `/` on an unmapped host. The scheme of the request's URL is right; its Host header is only what the client claims. */
export function createApp(deps: SiteDependencies): Hono {
  const own = { ...deps.config, ownHosts: deps.ownHosts };

  // With hosts of their own the operator's pages are not on this one.
  const hasStatus = (deps.operator.token ?? "") !== "" && deps.config.operatorHosts === undefined;

  /** The mirrors with the addresses at which this visitor reaches them, and that of these pages; null: no address is known that leads here. */
  function view(context: Context) {
    const visit = visitOf(context);
    const site = siteAddress(visit, own);
    if (site === null) return null;
    const entries = [...own.mirrors.values()].flatMap((mirror) => {
      const setup = setupOf(mirror, visit, own);
      return setup === null ? [] : [{ setup, site }];
    });
    return { site, entries, find: ({ name }: Mirror) => entries.find(({ setup }) => setup.mirror.name === name)?.setup };
  }

  const app = new Hono({ strict: false });
  app.get("/-/health", (context) => sendText(context, "ok\n"));
  app.get("/-/style.css", (context) => send(context, "text/css; charset=utf-8", STYLE, 200, { "Cache-Control": "max-age=3600" }));

  app.get("/-/page.js", (context) =>
    send(context, "text/javascript; charset=utf-8", PAGE_SCRIPT, 200, { "Cache-Control": "max-age=3600" }),
  );

  app.on("GET", ["/", "/-"], (context) => {
    const shown = view(context);
    return sendPage(context, shown === null ? UnknownHostPage({ hasStatus }) : LandingPage({ ...shown, hasStatus }));
  });
  app.get("/-/setup", (context) => {
    const shown = view(context);
    if (isBrowser(context))
      return sendPage(context, shown === null ? UnknownHostPage({ hasStatus }) : SetupOverview({ ...shown, hasStatus }));
    if (shown === null) return sendText(context, `${capitalised(UNKNOWN_HOST)}\n`, 421);
    return sendText(context, shown.entries.map(({ setup, site }) => `${site}/-/setup/${setup.mirror.name}\n`).join(""));
  });
  app.get("/-/setup/:file{.+\\.sh}", (context) => {
    const mirror = own.mirrors.get(context.req.param("file").slice(0, -".sh".length));
    // The visitor may pipe the answer into a shell: a refusal is a script too, which prints what is wrong.
    const refusal = (why: string, status: 404 | 421) => sendScript(context, formatRefusal(why), status);
    if (mirror === undefined) return refusal("there is no such mirror; /-/setup/ lists them", 404);
    const shown = view(context);
    const setup = shown?.find(mirror);
    if (shown === null || setup === undefined) return refusal(UNKNOWN_HOST, 421);
    if (setup.kind !== "distro") return refusal(`no script sets ${setup.mirror.name} up; see /-/setup/${setup.mirror.name}`, 404);
    return sendScript(context, formatSetupScript(setup.setup, setup.places, shown.site, setup.asksName));
  });
  app.get("/-/setup/:mirror", (context) => {
    const mirror = own.mirrors.get(context.req.param("mirror"));
    if (mirror === undefined) return sendText(context, "There is no such mirror; /-/setup/ lists them\n", 404);
    const shown = view(context);
    const setup = shown?.find(mirror);
    if (shown === null || setup === undefined) {
      if (isBrowser(context)) return sendPage(context, UnknownHostPage({ hasStatus }), 421);
      return sendText(context, `${capitalised(UNKNOWN_HOST)}\n`, 421);
    }
    const { site } = shown;
    const asked = context.req.query("for");
    const release = context.req.query("release");
    if (release !== undefined && !/^[\w.-]{1,40}$/.test(release))
      return sendText(context, "Cannot use release: name one such as trixie or 15.6\n", 400);
    if (asked === undefined && isBrowser(context)) return sendPage(context, SetupPage({ setup, site, hasStatus }));
    const fallback = context.req.query("fallback");
    if (fallback !== undefined && fallback !== "direct" && fallback !== "none")
      return sendText(
        context,
        "Cannot use fallback: it is direct (the distribution's own servers, while the mirror is away) or none\n",
        400,
      );
    const snippets = snippetsOf(setup, site, { release, fallback });
    const wanted = asked ?? clientOfAgent(context.req.header("user-agent") ?? "");
    const snippet = wanted === undefined ? snippets[0] : findSnippet(snippets, wanted);
    if (snippet !== undefined) return sendText(context, snippet.text);
    const clients = snippets.map(({ client }) => client).join(", ");
    return sendText(context, `Cannot set ${mirror.name} up for "${wanted}": use ?for= with one of ${clients}\n`, 404);
  });

  app.route("/-", createOperatorPages(deps.operator, deps.pages));
  app.route("/-/ledger", createOperatorApi(deps.operator));
  app.route("/-", createRepositoryLinks(own, deps.links));
  app.notFound((context) => sendText(context, "There is no such page; /-/ lists the mirrors\n", 404));
  return app;
}

function capitalised(sentence: string): string {
  return `${sentence.slice(0, 1).toUpperCase()}${sentence.slice(1)}`;
}
