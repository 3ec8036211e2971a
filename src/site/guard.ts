import type { Context, MiddlewareHandler } from "hono";
import { isSameSecret, parseCredentials } from "../http/credentials.ts";
import type { FailedLogins } from "../watch/failed-logins.ts";
import { sendText } from "./respond.ts";

/**
 * Lets in clients that send one of the tokens: as `Authorization: Bearer <token>`, or as the password of any user name, which a browser asks for. If
 * there is none but undefined and empty ones, answers 404. Only for pages that change nothing: a browser also sends a saved password with requests that another site
 * makes it send.
 */
export function createGuard(configured: readonly (string | undefined)[], logins: FailedLogins | undefined): MiddlewareHandler {
  const tokens = configured.flatMap((token) => (token === undefined || token === "" ? [] : [token]));
  return async (context, next) => {
    if (tokens.length === 0) return sendText(context, "There is no such page; /-/ lists the mirrors\n", 404);
    const given = parseCredentials(context.req.header("authorization") ?? null);
    const secret = given?.kind === "basic" ? given.password : (given?.token ?? null);
    const judged = await judgeToken(context, secret, tokens, logins);
    if (judged.isRight) return next();
    if (judged.waitSeconds > 0) return sendText(context, TOO_MANY, 429, { "Retry-After": String(judged.waitSeconds) });
    context.header("WWW-Authenticate", 'Basic realm="lazy-mirror operator", charset="UTF-8"', { append: true });
    context.header("WWW-Authenticate", 'Bearer realm="lazy-mirror operator"', { append: true });
    const detail =
      "Cannot let you in: send the admin token or the read token as the password of any user name, or as Authorization: Bearer <token>\n";
    return sendText(context, detail, 401);
  };
}

/** The reason of a 429. */
export const TOO_MANY = "Cannot let you in: too many logins failed; wait a minute\n";

/** Compares a secret (null: the client sent none) with the tokens that open the place. `waitSeconds` is above 0 where too many logins failed. */
export async function judgeToken(
  context: Context,
  given: string | null,
  tokens: readonly string[],
  logins: FailedLogins | undefined,
): Promise<{ readonly isRight: true } | { readonly isRight: false; readonly waitSeconds: number }> {
  if (given === null) return { isRight: false, waitSeconds: 0 };
  // handle.ts writes it: it is never a client's claim.
  const address = context.req.header("cf-connecting-ip") ?? null;
  // Without the user's name, which may be any: some type the token there, and it would stand in the log.
  const login = { place: "the operator's pages", user: null, address, isUserKnown: false };
  const waitSeconds = logins?.waitBefore(login) ?? 0;
  if (waitSeconds > 0) return { isRight: false, waitSeconds };
  // All of them: how long it takes does not show which one was nearly right.
  const matches = await Promise.all(tokens.map((token) => isSameSecret(given, token)));
  if (matches.includes(true)) return { isRight: true };
  return { isRight: false, waitSeconds: logins?.failed(login) ?? 0 };
}
