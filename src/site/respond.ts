import type { Context } from "hono";
import type { JSX } from "hono/jsx/jsx-runtime";

/** Headers of every page. `no-store`: a page depends on the visitor and on the host that the visitor used, so no cache may keep it. */
export const COMMON = { "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer" };
const POLICY =
  "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Whether the client asks for HTML, as browsers do; `curl` and package managers accept anything. */
export function isBrowser(context: Context): boolean {
  return /\btext\/html\b/.test(context.req.header("accept") ?? "");
}

/** A whole HTML page. Its policy lets it load and send only to this server. */
export async function page(context: Context, content: JSX.Element): Promise<Response> {
  return context.html(`<!doctype html>${(await content).toString()}`, 200, { ...COMMON, "Content-Security-Policy": POLICY });
}

/** A plain text. */
export function text(context: Context, body: string, status: 200 | 400 | 404 = 200): Response {
  return context.body(body, status, { ...COMMON, "Content-Type": "text/plain; charset=utf-8" });
}

/** A shell script. */
export function script(context: Context, body: string, status: 200 | 404 | 421 = 200): Response {
  return context.body(body, status, { ...COMMON, "Content-Type": "text/x-shellscript; charset=utf-8" });
}

/** A JSON value, indented for people. */
export function json(context: Context, body: object): Response {
  return context.body(`${JSON.stringify(body, null, 2)}\n`, 200, { ...COMMON, "Content-Type": "application/json" });
}
