import type { Ask, Question, Reply } from "./ask.ts";
import { MAX_BYTES } from "./ask.ts";

/** The result of one look at the mirror. */
export interface Finding {
  readonly check: string;
  /** `unsure`: it may be as it is for a reason. */
  readonly verdict: "good" | "bad" | "unsure";
  readonly detail: string;
  /** What to do about it. */
  readonly remedy?: string;
}

export interface DoctorPorts {
  readonly ask: Ask;
  /** Addresses of a host; throws where there are none. */
  readonly resolve: (host: string) => Promise<readonly string[]>;
  readonly now: () => number;
}

const MAX_SKEW_SECONDS = 30;
/** The causes of all upstreams stand in one line. */
const MAX_QUOTED_CHARACTERS = 2000;
/** As they present themselves: bot checks go by that. */
const AGENTS: Readonly<Record<string, string>> = {
  apt: "Debian APT-HTTP/1.3 (2.6.1)",
  dnf: "libdnf (Fedora Linux 43; generic; Linux.x86_64)",
  zypper: "ZYpp 17.31.15 (curl 8.0.1) openSUSE-Leap-15.6-x86_64",
  pacman: "pacman/6.0.2 (Linux x86_64) libalpm/13.0.2",
  curl: "curl/8.5.0",
  requests: "python-requests/2.28.1",
};
const WAF =
  "Cloudflare: add a WAF rule that skips bot checks (Security → WAF → Custom rules → Skip) for this host name, and turn Bot Fight Mode off.";
const TRANSFORM =
  "Turn off what changes answers on their way: compression, minification, Rocket Loader; in nginx gzip off and proxy_force_ranges unset.";
const PROXY =
  "Something between here and the mirror does not pass requests on as they are; let it, or let clients reach the mirror directly.";

/** Looks at a mirror as its clients do, one finding after the other. `url` is best one of a file of it, at least a few hundred bytes long. */
export async function* diagnose(url: URL, ports: DoctorPorts): AsyncGenerator<Finding> {
  let addresses: readonly string[];
  try {
    addresses = await ports.resolve(url.hostname);
  } catch (error) {
    yield bad(
      "DNS",
      `${url.hostname} does not resolve: ${messageOf(error)}`,
      "Make a record for it, or ask by an address; a new record may take minutes.",
    );
    return;
  }
  yield good("DNS", `${url.hostname} is ${addresses.join(", ")}`);

  yield* lookAtSchemes(url, ports);
  const whole = await attempt(() => ports.ask(url, { headers: { "Accept-Encoding": "gzip, br, zstd" } }));
  if ("error" in whole) {
    yield bad("GET", `no answer: ${whole.error}`, "Is the mirror running, and does a firewall let this port through?");
    return;
  }
  yield lookAtChallenge("bot checks", whole);
  yield lookAtClock(whole, ports.now());
  yield* lookAtAgents(url, ports.ask);
  if (whole.status !== 200) {
    yield lookAtRefusal(whole);
    return;
  }
  yield* lookAtWhole(whole);
  yield* lookAtParts(url, whole, ports.ask);
}

function lookAtRefusal({ status, body }: Reply): Finding {
  const cause = firstLine(body);
  if (status === 502 || status === 504) {
    return bad(
      "GET",
      `the answer is ${status}, the mirror's upstream is unreachable: ${cause}`,
      "Look from the mirror's machine whether that upstream answers; correct its URL in wrangler.toml, or add a second one.",
    );
  }
  const remedy =
    status === 401 ? "Give --user name:password." : "Name the URL of a file that its upstream has; /-/why/<mirror>/<path> tells more.";
  return bad("GET", `the answer is ${status}: ${cause}`, remedy);
}

/** Clients that were set up by http must not be sent to https: many follow no redirect there, and apt warns of it. */
async function* lookAtSchemes(url: URL, { ask }: DoctorPorts): AsyncGenerator<Finding> {
  const schemes = url.port === "" ? (["http:", "https:"] as const) : [url.protocol];
  for (const scheme of schemes) {
    const health = new URL("/-/health", url);
    health.protocol = scheme;
    const name = `${scheme.slice(0, -1)} health`;
    // oxlint-disable-next-line no-await-in-loop -- one after the other, as it is told
    const reply = await attempt(() => ask(health));
    if ("error" in reply) {
      const isWanted = scheme === url.protocol;
      yield {
        check: name,
        verdict: isWanted ? "bad" : "unsure",
        detail: `no answer: ${reply.error}`,
        remedy: `Clients need ${scheme.slice(0, -1)} only where their sources say so.`,
      };
    } else if (reply.status >= 300 && reply.status < 400) {
      yield bad(
        name,
        `redirected to ${reply.headers.location ?? "nowhere"}`,
        "Cloudflare: turn Always Use HTTPS and Automatic HTTPS Rewrites off for this host; elsewhere, remove the redirect.",
      );
    } else if (reply.status === 200 && reply.body.toString("latin1").trim() === "ok") {
      yield good(name, "ok");
    } else {
      yield bad(
        name,
        `${reply.status}: ${firstLine(reply.body)}`,
        "Another server answers on this name, or a proxy in front changes the path.",
      );
    }
  }
}

function lookAtChallenge(check: string, reply: Reply): Finding {
  const isHtml = /html/.test(reply.headers["content-type"] ?? "");
  const isChallenge = reply.headers["cf-mitigated"] !== undefined || (isHtml && [403, 429, 503].includes(reply.status));
  return isChallenge ? bad(check, `answered ${reply.status} by a page for people`, WAF) : good(check, "none in the way");
}

function lookAtClock({ headers }: Reply, now: number): Finding {
  const date = Date.parse(headers.date ?? "");
  if (Number.isNaN(date)) return { check: "clock", verdict: "unsure", detail: "the answer has no Date" };
  const skew = Math.round((date - now) / 1000);
  return Math.abs(skew) <= MAX_SKEW_SECONDS
    ? good("clock", `${skew} s apart`)
    : bad(
        "clock",
        `the server's is ${skew} s ahead of this machine's`,
        "Set the clock that is wrong (timedatectl set-ntp true): apt refuses a Release of the future, and Valid-Until is missed.",
      );
}

async function* lookAtAgents(url: URL, ask: Ask): AsyncGenerator<Finding> {
  const replies = await Promise.all(
    Object.entries(AGENTS).map(async ([client, agent]) => ({
      client,
      reply: await attempt(() => ask(url, { method: "HEAD", headers: { "User-Agent": agent } })),
    })),
  );
  const statuses = new Set(replies.map(({ reply }) => ("error" in reply ? reply.error : String(reply.status))));
  const told = replies.map(({ client, reply }) => `${client} ${"error" in reply ? reply.error : reply.status}`).join(", ");
  yield statuses.size === 1
    ? good("clients", `all are answered alike: ${[...statuses].join()}`)
    : bad("clients", `they are answered differently: ${told}`, WAF);
}

function* lookAtWhole({ headers, body, isComplete }: Reply): Generator<Finding> {
  const length = Number(headers["content-length"] ?? Number.NaN);
  if (Number.isNaN(length)) yield bad("length", "the answer has no Content-Length", TRANSFORM);
  else if (length >= MAX_BYTES) yield { check: "length", verdict: "unsure", detail: `${length} bytes: only the beginning is looked at` };
  else if (!isComplete || body.length !== length) yield bad("length", `${body.length} of ${length} bytes came`, PROXY);
  else yield good("length", `${length} bytes, as Content-Length says`);

  const encoding = headers["content-encoding"];
  yield encoding === undefined
    ? good("no transformation", "the bytes are not encoded")
    : bad("no transformation", `Content-Encoding is ${encoding}`, TRANSFORM);
  const missing = ["etag", "last-modified", "accept-ranges", "cache-status"].filter((name) => headers[name] === undefined);
  if (missing.length > 0)
    yield bad("headers", `missing: ${missing.join(", ")}`, "Is this URL the mirror's, and does a proxy in front leave its headers alone?");
  else if (headers.etag?.startsWith("W/") === true) yield bad("headers", "the ETag is weak: nothing can be resumed", TRANSFORM);
  else yield good("headers", `ETag, Last-Modified, ${String(headers["cache-status"])}`);
}

/** How an answer is told to be right: null, or what is wrong. */
type Judge = (reply: Reply) => string | null;

async function* lookAtParts(url: URL, whole: Reply, ask: Ask): AsyncGenerator<Finding> {
  const { body, headers } = whole;
  const length = Number(headers["content-length"] ?? body.length);
  const { etag = "", "last-modified": lastModified = "" } = headers;
  const status =
    (wanted: number): Judge =>
    (reply) =>
      reply.status === wanted ? null : `${reply.status} instead of ${wanted}`;
  const part =
    (first: number, last: number): Judge =>
    (reply) => {
      if (reply.status !== 206) return `${reply.status} instead of 206`;
      const range = `bytes ${first}-${last}/${length}`;
      if (reply.headers["content-range"] !== range)
        return `Content-Range is ${reply.headers["content-range"] ?? "missing"} instead of ${range}`;
      return last < body.length && !reply.body.equals(body.subarray(first, last + 1)) ? "the bytes are others" : null;
    };
  const last = Math.min(9, length - 1);
  const tests: readonly (readonly [check: string, question: Question, judge: Judge])[] = [
    [
      "HEAD",
      { method: "HEAD" },
      (reply) =>
        status(200)(reply) ??
        (reply.headers["content-length"] === headers["content-length"] && reply.headers.etag === etag
          ? null
          : "its headers differ from GET's"),
    ],
    ["Range", { headers: { Range: `bytes=0-${last}` } }, part(0, last)],
    ["Range to the end", { headers: { Range: `bytes=${length - 1}-` } }, part(length - 1, length - 1)],
    ["Range past the end", { headers: { Range: `bytes=${length}-` } }, status(416)],
    ["many ranges", { headers: { Range: "bytes=0-0,2-2" } }, judgeMany(length, body)],
    ["If-Range, the same", { headers: { Range: `bytes=0-${last}`, "If-Range": etag } }, part(0, last)],
    ["If-Range, another", { headers: { Range: `bytes=0-${last}`, "If-Range": '"another"' } }, status(200)],
    ["If-None-Match", { headers: { "If-None-Match": etag } }, status(304)],
    ["If-Modified-Since", { headers: { "If-Modified-Since": lastModified } }, status(304)],
  ];
  for (const [check, question, judge] of tests) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other, as it is told
    const reply = await attempt(() => ask(url, question));
    const wrong = "error" in reply ? `no answer: ${reply.error}` : judge(reply);
    yield wrong === null ? good(check, "right") : bad(check, wrong, PROXY);
  }
}

/** RFC 9110 §14.4: as multipart/byteranges, or the whole. */
function judgeMany(length: number, body: Buffer): Judge {
  return (reply) => {
    if (reply.status === 200) return reply.headers["content-length"] === String(length) ? null : "a 200 that is not the whole";
    if (reply.status !== 206) return `${reply.status} instead of 206`;
    if (reply.headers["content-type"]?.startsWith("multipart/byteranges;") !== true)
      return `Content-Type is ${reply.headers["content-type"] ?? "missing"}`;
    const text = reply.body.toString("latin1");
    const wanted = [0, 2].filter((at) => at < length);
    return wanted.every((at) => text.includes(`bytes ${at}-${at}/${length}\r\n\r\n${body.subarray(at, at + 1).toString("latin1")}\r\n`))
      ? null
      : "its parts are not those that were asked for";
  };
}

function good(check: string, detail: string): Finding {
  return { check, verdict: "good", detail };
}

function bad(check: string, detail: string, remedy: string): Finding {
  return { check, verdict: "bad", detail, remedy };
}

async function attempt(run: () => Promise<Reply>): Promise<Reply | { readonly error: string }> {
  try {
    return await run();
  } catch (error) {
    return { error: messageOf(error) };
  }
}

function messageOf(error: unknown): string {
  // Several addresses, several reasons: Node gives them without a message of their own.
  if (error instanceof AggregateError) return error.errors.map(messageOf).join("; ");
  return error instanceof Error ? error.message : String(error);
}

/** What a server says in its own words, without what would move the cursor. */
function firstLine(body: Buffer): string {
  return (body.toString("utf8").split("\n", 1)[0] ?? "").replaceAll(/\p{Cc}/gu, "?").slice(0, MAX_QUOTED_CHARACTERS);
}
