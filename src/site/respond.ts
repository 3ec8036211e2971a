import type { Context } from "hono";
import type { JSX } from "hono/jsx/jsx-runtime";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { printableLines } from "../http/printable.ts";
import type { Visit } from "./address.ts";

/** `no-store`: an answer depends on the visitor and on the host that the visitor used, so no cache may keep it. */
const COMMON = {
  "Cache-Control": "no-store",
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  // No other site, and no page of a mirror, shows or loads these pages in its own.
  "Cross-Origin-Resource-Policy": "same-origin",
  "X-Frame-Options": "DENY",
  "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
};
const POLICY =
  "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/** Whether the client asks for HTML, as browsers do; `curl` and package managers accept anything. */
export function isBrowser(context: Context): boolean {
  return /\btext\/html\b/.test(context.req.header("accept") ?? "");
}

/** What handle.ts says of a request to the pages, beside the request itself. */
export interface PageBindings {
  readonly visit?: Visit;
  /** The path below which this server is for browsers, as `/mirror`: links of the pages begin with it; absent: it has none. */
  readonly base?: string;
}

function bindingsOf(context: Context): PageBindings {
  return (context.env ?? {}) as PageBindings;
}

/** The URL by which the visitor came, as far as it is known. */
export function visitOf(context: Context): Visit {
  const { visit } = bindingsOf(context);
  return visit ?? { scheme: context.req.url.startsWith("https:") ? "https" : "http", authority: context.req.header("host") ?? "" };
}

/**
 * The one way of answering here. `headers` go before those that every answer has. Names and reasons that upstreams and clients chose stand in these
 * texts: what is no visible character is escaped, for a browser that would turn the text around it as for the terminal behind curl.
 */
export function send(
  context: Context,
  type: string,
  body: string,
  status: ContentfulStatusCode = 200,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return context.body(printableLines(body), status, { ...COMMON, "Content-Type": type, ...headers });
}

/** A whole HTML page, whose links to this server's own pages begin with `/-/`. Its policy lets it load and send only to this server. */
export async function sendPage(context: Context, content: JSX.Element, status?: ContentfulStatusCode): Promise<Response> {
  const { base = "" } = bindingsOf(context);
  const html = `<!doctype html>${(await content).toString()}`.replaceAll(
    / (href|src|action)="(?=\/-\/)/g,
    (attribute) => `${attribute}${base}`,
  );
  return send(context, "text/html; charset=UTF-8", html, status, { "Content-Security-Policy": POLICY });
}

/** A plain text, such as the reason of a refusal. */
export function sendText(
  context: Context,
  body: string,
  status?: ContentfulStatusCode,
  headers?: Readonly<Record<string, string>>,
): Response {
  return send(context, "text/plain; charset=utf-8", body, status, headers);
}

/** A shell script. */
export function sendScript(context: Context, body: string, status?: ContentfulStatusCode): Response {
  return send(context, "text/x-shellscript; charset=utf-8", body, status);
}

/** A JSON value, indented for people. */
export function sendJson(context: Context, body: object): Response {
  return send(context, "application/json", `${JSON.stringify(body, null, 2)}\n`);
}
