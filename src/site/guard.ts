import type { MiddlewareHandler } from "hono";
import { isSameSecret, parseCredentials } from "../http/credentials.ts";
import { sendText } from "./respond.ts";

/**
 * Lets in clients that send the operator's token: as `Authorization: Bearer <token>`, or as the password of any user name, which a browser asks for. If
 * `token` is undefined or empty, answers 404. Only for pages that change nothing: a browser also sends a saved password with requests that another site
 * makes it send.
 */
export function createGuard(token: string | undefined): MiddlewareHandler {
  return async (context, next) => {
    if (token === undefined || token === "") return sendText(context, "There is no such page; /-/ is the first\n", 404);
    const given = parseCredentials(context.req.header("authorization") ?? null);
    if (given !== null && (await isSameSecret(given.kind === "basic" ? given.password : given.token, token))) return next();
    context.header("WWW-Authenticate", 'Basic realm="lazy-mirror operator", charset="UTF-8"', { append: true });
    context.header("WWW-Authenticate", 'Bearer realm="lazy-mirror operator"', { append: true });
    const detail = "Cannot let you in: send the admin token as the password of any user name, or as Authorization: Bearer <token>\n";
    return sendText(context, detail, 401);
  };
}
