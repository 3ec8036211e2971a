import { type Ask, MAX_BYTES, type Question, type Reply } from "./ask.ts";

/** The result of one check. */
export interface Finding {
  readonly check: string;
  /** `unsure`: there may be a good reason for it. */
  readonly verdict: "good" | "bad" | "unsure";
  readonly detail: string;
  /** How to mend it. */
  readonly remedy?: string;
}

/** What the doctor needs of the outside. */
export interface DoctorPorts {
  readonly ask: Ask;
  /** The addresses of a host; rejects if it has none. */
  readonly resolve: (host: string) => Promise<readonly string[]>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

const MAX_SKEW_SECONDS = 30;
/** Long enough for the mirror's error line, which may name the failures of several upstreams. */
const MAX_QUOTED_CHARACTERS = 2000;
/** User-Agents of real clients: bot checks decide by these. */
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
  "Turn off whatever changes answers between here and the mirror: compression, minification, Rocket Loader; in nginx set gzip off and leave proxy_force_ranges unset.";
const PROXY =
  "A proxy between here and the mirror changes requests: make it pass them on unchanged, or let clients reach the mirror directly.";

/** Checks a mirror as its clients would use it, and yields one finding after the other. `url` should be one of its files, of at least a few hundred bytes. */
export async function* diagnose(url: URL, ports: DoctorPorts): AsyncGenerator<Finding> {
  let addresses: readonly string[];
  try {
    addresses = await ports.resolve(url.hostname);
  } catch (error) {
    yield bad(
      "DNS",
      `${url.hostname} does not resolve: ${reasonOf(error)}`,
      "Create a DNS record for it, or use an address; a new record may need minutes to appear.",
    );
    return;
  }
  yield good("DNS", `${url.hostname} is ${addresses.join(", ")}`);

  yield* lookAtSchemes(url, ports);
  const whole = await attempt(ports.ask(url, { headers: { "Accept-Encoding": "gzip, br, zstd" } }));
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
  const cause = heading(body);
  if (status === 502 || status === 504) {
    return bad(
      "GET",
      `the answer is ${status}, the mirror's upstream is unreachable: ${cause}`,
      "Check from the mirror's machine that the upstream answers; correct its URL in wrangler.toml, or add a second upstream.",
    );
  }
  const remedy =
    status === 401 ? "Give --user name:password." : "Use the URL of a file that the upstream has; /-/why/<mirror>/<path> explains more.";
  return bad("GET", `the answer is ${status}: ${cause}`, remedy);
}

/** A mirror must not redirect http clients to https: many do not follow such a redirect, and apt prints a warning. */
async function* lookAtSchemes(url: URL, { ask }: DoctorPorts): AsyncGenerator<Finding> {
  const schemes = url.port === "" ? (["http:", "https:"] as const) : [url.protocol];
  for (const scheme of schemes) {
    const health = new URL("/-/health", url);
    health.protocol = scheme;
    const name = `${scheme.slice(0, -1)} health`;
    const reply = await attempt(ask(health));
    if ("error" in reply) {
      const isWanted = scheme === url.protocol;
      yield {
        check: name,
        verdict: isWanted ? "bad" : "unsure",
        detail: `no answer: ${reply.error}`,
        remedy: `This matters only for clients whose sources have ${scheme.slice(0, -1)} URLs.`,
      };
    } else if (reply.status >= 300 && reply.status < 400) {
      yield bad(
        name,
        `redirected to ${reply.headers.location ?? "nowhere"}`,
        "On Cloudflare turn Always Use HTTPS and Automatic HTTPS Rewrites off for this host; elsewhere remove the redirect.",
      );
    } else if (reply.status === 200 && reply.body.toString("latin1").trim() === "ok") {
      yield good(name, "ok");
    } else {
      yield bad(name, `${reply.status}: ${heading(reply.body)}`, "Another server answers under this name, or a proxy changes the path.");
    }
  }
}

function lookAtChallenge(check: string, reply: Reply): Finding {
  const isHtml = /html/.test(reply.headers["content-type"] ?? "");
  const isChallenge = reply.headers["cf-mitigated"] !== undefined || (isHtml && [403, 429, 503].includes(reply.status));
  return isChallenge ? bad(check, `answered ${reply.status} by a page for people`, WAF) : good(check, "none");
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
        "Set the clock that is wrong (timedatectl set-ntp true): apt refuses a Release from the future, and one past its Valid-Until.",
      );
}

async function* lookAtAgents(url: URL, ask: Ask): AsyncGenerator<Finding> {
  const replies = await Promise.all(
    Object.entries(AGENTS).map(async ([client, agent]) => ({
      client,
      reply: await attempt(ask(url, { method: "HEAD", headers: { "User-Agent": agent } })),
    })),
  );
  const statuses = new Set(replies.map(({ reply }) => ("error" in reply ? reply.error : String(reply.status))));
  const each = replies.map(({ client, reply }) => `${client} ${"error" in reply ? reply.error : reply.status}`).join(", ");
  yield statuses.size === 1
    ? good("clients", `all get the same status: ${[...statuses].join()}`)
    : bad("clients", `they get different answers: ${each}`, WAF);
}

function* lookAtWhole({ headers, body, isComplete }: Reply): Generator<Finding> {
  const length = Number(headers["content-length"] ?? Number.NaN);
  if (Number.isNaN(length)) yield bad("length", "the answer has no Content-Length", TRANSFORM);
  else if (length >= MAX_BYTES)
    yield { check: "length", verdict: "unsure", detail: `${length} bytes: the doctor reads only the beginning` };
  else if (!isComplete || body.length !== length) yield bad("length", `${body.length} of ${length} bytes came`, PROXY);
  else yield good("length", `${length} bytes, as Content-Length says`);

  const encoding = headers["content-encoding"];
  yield encoding === undefined
    ? good("no transformation", "the bytes are not encoded")
    : bad("no transformation", `Content-Encoding is ${encoding}`, TRANSFORM);
  const missing = ["etag", "last-modified", "accept-ranges", "cache-status"].filter((name) => headers[name] === undefined);
  if (missing.length > 0)
    yield bad("headers", `missing: ${missing.join(", ")}`, "Is this URL one of the mirror, and does a proxy in front keep its headers?");
  else if (headers.etag?.startsWith("W/") === true) yield bad("headers", "the ETag is weak: clients cannot resume downloads", TRANSFORM);
  else yield good("headers", `ETag, Last-Modified, ${String(headers["cache-status"])}`);
}

/** Checks an answer: null if it is right, else what is wrong. */
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
      return last < body.length && !reply.body.equals(body.subarray(first, last + 1)) ? "the bytes differ from the whole file's" : null;
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
    const reply = await attempt(ask(url, question));
    const wrong = "error" in reply ? `no answer: ${reply.error}` : judge(reply);
    yield wrong === null ? good(check, "right") : bad(check, wrong, PROXY);
  }
}

/** RFC 9110 §14.2: a server may ignore Range and send the whole; §14.6: else it sends multipart/byteranges. */
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
      : "it has other parts than the request asked for";
  };
}

function good(check: string, detail: string): Finding {
  return { check, verdict: "good", detail };
}

function bad(check: string, detail: string, remedy: string): Finding {
  return { check, verdict: "bad", detail, remedy };
}

function attempt(asked: Promise<Reply>): Promise<Reply | { readonly error: string }> {
  return asked.catch((error: unknown) => ({ error: reasonOf(error) }));
}

function reasonOf(error: unknown): string {
  // Node tried several addresses: the error for all of them has no message of its own.
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join("; ");
  return error instanceof Error ? error.message : String(error);
}

/** The first line of an error page, without control characters, which could move the terminal's cursor. */
function heading(body: Buffer): string {
  return (body.toString("utf8").split("\n", 1)[0] ?? "").replaceAll(/\p{Cc}/gu, "?").slice(0, MAX_QUOTED_CHARACTERS);
}
