import type { Context } from "hono";
import type { JSX } from "hono/jsx/jsx-runtime";

/** Pages depend on who asks, and by which name: nobody may keep them for others. */
export const COMMON = { "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer" };
const POLICY =
  "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** `curl` and package managers ask for anything, browsers for HTML. */
export function isBrowser(context: Context): boolean {
  return /\btext\/html\b/.test(context.req.header("accept") ?? "");
}

/** A whole HTML page, which may load and send nothing but what is ours. */
export async function page(context: Context, content: JSX.Element): Promise<Response> {
  return context.html(`<!doctype html>${(await content).toString()}`, 200, { ...COMMON, "Content-Security-Policy": POLICY });
}

export function text(context: Context, body: string, status: 200 | 400 | 404 = 200): Response {
  return context.body(body, status, { ...COMMON, "Content-Type": "text/plain; charset=utf-8" });
}

export function script(context: Context, body: string, status: 200 | 404 | 421 = 200): Response {
  return context.body(body, status, { ...COMMON, "Content-Type": "text/x-shellscript; charset=utf-8" });
}

export function json(context: Context, body: object): Response {
  return context.body(`${JSON.stringify(body, null, 2)}\n`, 200, { ...COMMON, "Content-Type": "application/json" });
}
