import * as v from "valibot";
import type { Ask } from "./ask.ts";
import { attempt, bad, type Finding, heading, unsure } from "./finding.ts";
import { judgeStatus, STATUS } from "./judge-status.ts";

const STATUS_BYTES = 4 * 1024 * 1024;

/** What the status page says to a client with the operator's token. `site`: the server's own URL. */
export async function* checkStatus(site: URL, token: string, ask: Ask): AsyncGenerator<Finding> {
  const check = "status";
  if (site.protocol === "http:" && !/^(?:localhost|127\.[\d.]+|\[::1\])$/.test(site.hostname))
    yield unsure(
      "token",
      "it goes by plain http, where others on the way can read it",
      "Give an https URL together with --token, if there is one.",
    );
  const page = new URL("./-/status.json", site);
  const reply = await attempt(ask(page, { headers: { Authorization: `Bearer ${token}` }, maxBytes: STATUS_BYTES }));
  if ("error" in reply) {
    yield bad(check, `no answer: ${reply.error}`, "Give the URL of the server itself.");
    return;
  }
  if (reply.status !== 200) {
    yield judgeRefusal(reply.status, heading(reply.body));
    return;
  }
  const parsed = v.safeParse(STATUS, parse(reply.body));
  if (!parsed.success) {
    const [issue] = parsed.issues;
    yield bad(
      check,
      `cannot read ${page.pathname}: ${v.getDotPath(issue) ?? "it"}: ${issue.message}`,
      "Do the doctor and the mirror have the same version?",
    );
    return;
  }
  yield* judgeStatus(parsed.output);
}

function judgeRefusal(status: number, why: string): Finding {
  if (status === 401)
    return bad(
      "status",
      "401: the token is not this server's",
      "npx wrangler secret put ADMIN_TOKEN sets it anew; on one machine it is in the state folder's admin-token.",
    );
  if (status === 404) return bad("status", "404: the server has no token", "Set one: npx wrangler secret put ADMIN_TOKEN.");
  if (status === 421)
    return unsure("status", "the operator's pages are on another host", "Run the doctor with the URL of a host of OPERATOR_HOSTS too.");
  return bad(
    "status",
    `${status}: ${why}`,
    status === 429 ? "Too many logins failed: wait a minute." : "Look at the log (npx wrangler tail).",
  );
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    return null;
  }
}
