import { isIP } from "node:net";
import type { Ask } from "./ask.ts";
import { attempt, bad, type Finding, good, heading, reasonOf, unsure } from "./finding.ts";
import { isHealthy } from "./find-site.ts";
import type { TlsView } from "./inspect-tls.ts";

/** What this room needs of the outside. */
export interface ConnectionPorts {
  readonly ask: Ask;
  /** The addresses of a host; rejects if it has none. */
  readonly resolve: (host: string) => Promise<readonly string[]>;
  /** A TLS handshake with the server of an https URL. Rejects if there is none. */
  readonly inspectTls: (url: URL) => Promise<TlsView>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

const MAX_SKEW_SECONDS = 30;
const DAY_MS = 86_400_000;
const RENEW_DAYS = 14;

/** DNS: whether the host has addresses of both kinds. Returns whether it has any. */
export async function* checkDns({ hostname }: URL, resolve: ConnectionPorts["resolve"]): AsyncGenerator<Finding, boolean> {
  const addresses = await resolve(hostname).catch((error: unknown) => reasonOf(error));
  if (typeof addresses === "string") {
    yield bad(
      "DNS",
      `${hostname} does not resolve: ${addresses}`,
      "Create a DNS record for it, or use an address; a new record may need minutes to appear.",
    );
    return false;
  }
  yield good("DNS", `${hostname} is ${addresses.join(", ")}`);
  const families = new Set(addresses.map((address) => isIP(address)));
  if (isIP(hostname.replace(/^\[|\]$/g, "")) === 0 && hostname.includes(".") && families.size === 1) {
    const [has, lacks] = families.has(4) ? ["A", "AAAA"] : ["AAAA", "A"];
    yield unsure(
      "DNS records",
      `${has} alone, as seen from here`,
      `Clients that have only the other kind of address need a record ${lacks}; on Cloudflare a proxied record gives both.`,
    );
  }
  return true;
}

/** Health by each scheme that clients may use; `site` is the server's own URL. A mirror must not redirect http clients to https. Returns the schemes that answer, such as `http:`. */
export async function* checkSchemes(site: URL, ask: Ask): AsyncGenerator<Finding, readonly string[]> {
  const schemes = site.port === "" ? (["http:", "https:"] as const) : [site.protocol];
  const answering: string[] = [];
  for (const scheme of schemes) {
    const health = new URL("./-/health", site);
    health.protocol = scheme;
    const name = scheme.slice(0, -1);
    const check = `${name} health`;
    const reply = await attempt(ask(health));
    if ("error" in reply) {
      const remedy = `This matters only for clients whose sources have ${name} URLs.`;
      yield { check, verdict: scheme === site.protocol ? "bad" : "unsure", detail: `no answer: ${reply.error}`, remedy };
    } else if (reply.status >= 300 && reply.status < 400) {
      yield judgeRedirect(check, site, reply.headers.location ?? "nowhere");
    } else if (isHealthy(reply)) {
      answering.push(scheme);
      yield good(check, "ok");
    } else {
      yield bad(
        check,
        `${reply.status}: ${heading(reply.body)}`,
        "Another server answers under this name, or a proxy changes the path: give the URL below which it has this server, with a slash at its end.",
      );
    }
  }
  return answering;
}

function judgeRedirect(check: string, url: URL, location: string): Finding {
  const meaning = "clients with http sources get it too: apt follows it only where ca-certificates is installed, which minimal images lack";
  const detail = `redirected to ${location}; ${meaning}`;
  // These names are not in a zone of ours: no setting of ours changes what they do.
  if (url.hostname.endsWith(".workers.dev"))
    return unsure(check, detail, "Give clients https URLs, or use a domain of your own for plain http.");
  return bad(
    check,
    detail,
    "On Cloudflare turn Always Use HTTPS and Automatic HTTPS Rewrites off for this host; elsewhere remove the redirect.",
  );
}

/** Certificate and versions of an https server. */
export async function* checkTls(url: URL, { inspectTls, now }: Pick<ConnectionPorts, "inspectTls" | "now">): AsyncGenerator<Finding> {
  let view: TlsView;
  try {
    view = await inspectTls(url);
  } catch (error) {
    yield bad("TLS", `no handshake: ${reasonOf(error)}`, "Is this port the one for https, and does the server have a certificate?");
    return;
  }
  const days = Math.floor((view.validTo - now()) / DAY_MS);
  if (view.problem !== null)
    yield bad(
      "certificate",
      `clients will not trust it: ${view.problem}`,
      "Use a certificate for this name of an authority that clients know; on Cloudflare a wildcard below the first level needs an advanced certificate.",
    );
  else if (Number.isNaN(days))
    yield bad("certificate", "it has no end that can be read", "Use a certificate of an authority that clients know.");
  else if (days < RENEW_DAYS)
    yield bad("certificate", `it ends in ${days} days`, "Renew it: its owner's renewal has failed, or there is none.");
  else yield good("certificate", `valid for ${days} days more`);
  yield good("HTTP versions", view.isHttp2 ? "HTTP/2 and HTTP/1.1" : "HTTP/1.1, which every package manager speaks");
}

/** Whether the server's clock is right. `date`: the Date of an answer that came at `now`. */
export function judgeClock(date: string | undefined, now: number): Finding {
  const seen = Date.parse(date ?? "");
  if (Number.isNaN(seen)) return unsure("clock", "the answer has no Date");
  const skew = Math.round((seen - now) / 1000);
  return Math.abs(skew) <= MAX_SKEW_SECONDS
    ? good("clock", `${skew} s apart`)
    : bad(
        "clock",
        `the server's is ${skew} s ahead of this machine's`,
        "Set the clock that is wrong (timedatectl set-ntp true): apt refuses a Release from the future, and one past its Valid-Until.",
      );
}
