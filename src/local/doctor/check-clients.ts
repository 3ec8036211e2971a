import type { Ask, Reply } from "./ask.ts";
import { attempt, bad, BOT_CHECK_REMEDY, type Finding, good, unsure } from "./finding.ts";

/** User-Agents of real clients: bot checks decide by these. */
const AGENTS: Readonly<Record<string, string>> = {
  apt: "Debian APT-HTTP/1.3 (2.6.1)",
  dnf: "libdnf (Fedora Linux 43; generic; Linux.x86_64)",
  zypper: "ZYpp 17.31.15 (curl 8.0.1) openSUSE-Leap-15.6-x86_64",
  pacman: "pacman/6.0.2 (Linux x86_64) libalpm/13.0.2",
  apk: "libfetch/2.0",
  curl: "curl/8.5.0",
  requests: "python-requests/2.28.1",
};

/** Whether an answer is a page that asks people to prove that they are (Cloudflare's sets cf-mitigated), or another block of a firewall. */
function isChallenge({ status, headers }: Reply): boolean {
  const isHtml = (headers["content-type"] ?? "").includes("html");
  return headers["cf-mitigated"] !== undefined || (isHtml && [403, 429, 503].includes(status));
}

export function judgeChallenge(reply: Reply): Finding {
  return isChallenge(reply)
    ? bad("bot checks", `answered ${reply.status} by a page for people`, BOT_CHECK_REMEDY)
    : good("bot checks", "none");
}

/** Whether every client gets the same answer for `url`, by each of `schemes`, such as `http:`. */
export async function* checkAgents(url: URL, schemes: readonly string[], ask: Ask): AsyncGenerator<Finding> {
  for (const scheme of schemes) {
    const asked = new URL(url);
    asked.protocol = scheme;
    const check = scheme === url.protocol ? "clients" : `clients, ${scheme.slice(0, -1)}`;
    const replies = await Promise.all(
      Object.entries(AGENTS).map(async ([client, agent]) => ({
        client,
        answer: describe(await attempt(ask(asked, { method: "HEAD", headers: { "User-Agent": agent } }))),
      })),
    );
    const answers = new Set(replies.map(({ answer }) => answer));
    const [only = ""] = answers;
    if (answers.size > 1)
      yield bad(
        check,
        `they get different answers: ${replies.map(({ client, answer }) => `${client} ${answer}`).join(", ")}`,
        BOT_CHECK_REMEDY,
      );
    else if (only.includes(CHALLENGED)) yield bad(check, `all get ${only}`, BOT_CHECK_REMEDY);
    else if (only !== "200" && scheme !== url.protocol) yield unsure(check, `all get ${only}, other than by ${url.protocol}`);
    else yield good(check, `all get the same status: ${only}`);
  }
}

const CHALLENGED = "a page for people";

function describe(reply: Reply | { readonly error: string }): string {
  if ("error" in reply) return reply.error;
  return isChallenge(reply) ? `${reply.status}, ${CHALLENGED}` : String(reply.status);
}
