import { randomUUID } from "node:crypto";
import { type Ask, MAX_BYTES, type Reply } from "./ask.ts";
import { attempt, bad, type Finding, good, heading, type Judge, PROXY_REMEDY, TRANSFORM_REMEDY, type Trial, unsure } from "./finding.ts";

/** What another answer than 200 means. */
export function judgeRefusal({ status, body, headers }: Reply): Finding {
  const cause = heading(body);
  if (status === 502 || status === 504) {
    return bad(
      "GET",
      `the answer is ${status}, the mirror's upstream is unreachable: ${cause}`,
      "Check from the mirror's machine that the upstream answers; correct its URL in wrangler.toml, or add a second upstream.",
    );
  }
  const to = headers.location === undefined ? "" : ` to ${headers.location}`;
  const remedy =
    status === 401 ? "Give --user name:password." : "Use the URL of a file that the upstream has; /-/why/<mirror>/<path> explains more.";
  return bad("GET", `the answer is ${status}${to}: ${cause}`, remedy);
}

/** Length, encoding and headers of the whole answer to a GET. */
export function* judgeWhole({ headers, body, isComplete }: Reply): Generator<Finding> {
  const length = Number(headers["content-length"] ?? Number.NaN);
  if (Number.isNaN(length)) yield bad("length", "the answer has no Content-Length", TRANSFORM_REMEDY);
  else if (length > MAX_BYTES && body.length === MAX_BYTES)
    yield good("length", `${length} bytes, of which the doctor reads only the first ${MAX_BYTES}`);
  else if (!isComplete || body.length !== length) yield bad("length", `${body.length} of ${length} bytes came`, PROXY_REMEDY);
  else yield good("length", `${length} bytes, as Content-Length says`);

  const encoding = headers["content-encoding"];
  yield encoding === undefined
    ? good("no transformation", "the bytes are not encoded")
    : bad("no transformation", `Content-Encoding is ${encoding}`, TRANSFORM_REMEDY);
  const missing = ["etag", "accept-ranges", "cache-status"].filter((name) => headers[name] === undefined);
  if (missing.length > 0)
    yield bad("headers", `missing: ${missing.join(", ")}`, "Is this URL one of the mirror, and does a proxy in front keep its headers?");
  else if (headers.etag?.startsWith("W/") === true)
    yield bad("headers", "the ETag is weak: clients cannot resume downloads", TRANSFORM_REMEDY);
  else if (headers["last-modified"] === undefined)
    yield unsure("headers", "no Last-Modified", "Does the upstream send one? The mirror makes none up, and clients do without.");
  else yield good("headers", `ETag, Last-Modified, ${String(headers["cache-status"])}`);
}

/** HEAD, ranges and conditions. `whole`: the answer to a plain GET of `url`. */
export async function* checkRequests(url: URL, whole: Reply, ask: Ask): AsyncGenerator<Finding> {
  const { body, headers } = whole;
  const length = Number(headers["content-length"] ?? body.length);
  const { etag = "", "last-modified": lastModified = "" } = headers;
  const last = Math.min(9, length - 1);
  const head: Judge = (reply) =>
    statusIs(200)(reply) ??
    (reply.headers["content-length"] === headers["content-length"] && reply.headers.etag === etag ? null : "its headers differ from GET's");
  const range = (value: string, more: Readonly<Record<string, string>> = {}) => ({ headers: { Range: `bytes=${value}`, ...more } });
  const trials: readonly Trial[] = [
    { check: "HEAD", question: { method: "HEAD" }, judge: head },
    { check: "Range", question: range(`0-${last}`), judge: part(whole, 0, last) },
    { check: "Range to the end", question: range(`${length - 1}-`), judge: part(whole, length - 1, length - 1) },
    { check: "Range past the end", question: range(`${length}-`), judge: statusIs(416) },
    { check: "many ranges", question: range("0-0,2-2"), judge: judgeMany(length, body) },
    { check: "If-Range, the same", question: range(`0-${last}`, { "If-Range": etag }), judge: part(whole, 0, last) },
    { check: "If-Range, another", question: { ...range(`0-${last}`, { "If-Range": '"another"' }), maxBytes: 1024 }, judge: statusIs(200) },
    { check: "If-None-Match", question: { headers: { "If-None-Match": etag } }, judge: statusIs(304) },
    { check: "If-Modified-Since", question: { headers: { "If-Modified-Since": lastModified } }, judge: statusIs(304) },
  ];
  for (const { check, question, judge } of trials) {
    if (check === "If-Modified-Since" && lastModified === "") continue;
    const reply = await attempt(ask(url, { maxBytes: 64 * 1024, ...question }));
    const wrong = "error" in reply ? `no answer: ${reply.error}` : judge(reply);
    yield wrong === null ? good(check, "right") : bad(check, wrong, PROXY_REMEDY);
  }
}

/** A file beside `url` that no upstream has: clients must get a plain 404. */
export async function* checkAbsent(url: URL, ask: Ask): AsyncGenerator<Finding> {
  const check = "absent file";
  const reply = await attempt(ask(new URL(`lazy-mirror-doctor-${randomUUID()}.txt`, url), { maxBytes: 4096 }));
  if ("error" in reply) yield bad(check, `no answer: ${reply.error}`, PROXY_REMEDY);
  else if (reply.status === 404 && !(reply.headers["content-type"] ?? "").includes("html")) yield good(check, "404");
  else if (reply.status === 404) yield bad(check, "404 with a page of HTML, not the mirror's own answer", PROXY_REMEDY);
  else if (reply.status === 200) yield bad(check, "200: clients would take that answer for the file", PROXY_REMEDY);
  else yield unsure(check, `${reply.status} instead of 404: ${heading(reply.body)}`, "Do all upstreams of this mirror answer?");
}

/** Every coding that a client may offer; Cloudflare itself compresses text by the first three. */
const CODINGS = ["gzip", "br", "zstd", "deflate", "gzip, deflate, br, zstd"];

/** Whether a text, such as a root, comes as it is, whatever Accept-Encoding the client sends: its bytes are signed. */
export async function* checkCodings(url: URL, ask: Ask): AsyncGenerator<Finding> {
  const check = "no compression";
  const plain = await attempt(ask(url, { maxBytes: 16 * 1024 }));
  if ("error" in plain || plain.status !== 200) {
    yield bad(check, `cannot read ${url.pathname}: ${"error" in plain ? plain.error : plain.status}`, PROXY_REMEDY);
    return;
  }
  const wrong: string[] = [];
  for (const coding of CODINGS) {
    const reply = await attempt(ask(url, { headers: { "Accept-Encoding": coding }, maxBytes: 16 * 1024 }));
    if ("error" in reply) wrong.push(`${coding}: ${reply.error}`);
    else if (reply.headers["content-encoding"] !== undefined)
      wrong.push(`${coding}: Content-Encoding is ${reply.headers["content-encoding"]}`);
    else if (reply.headers.etag === plain.headers.etag && !reply.body.equals(plain.body)) wrong.push(`${coding}: other bytes`);
  }
  const { "cache-control": control = "" } = plain.headers;
  if (!control.includes("no-transform")) wrong.push("Cache-Control lacks no-transform, which keeps proxies from compressing");
  yield wrong.length === 0
    ? good(check, `${url.pathname} comes as it is, with no-transform`)
    : bad(check, `${url.pathname}: ${wrong.join("; ")}`, TRANSFORM_REMEDY);
}

function statusIs(wanted: number): Judge {
  return (reply) => (reply.status === wanted ? null : `${reply.status} instead of ${wanted}`);
}

/** A 206 with the bytes from `first` to `last` of the whole file. */
export function part({ body, headers }: Reply, first: number, last: number): Judge {
  const range = `bytes ${first}-${last}/${headers["content-length"] ?? body.length}`;
  return (reply) => {
    if (reply.status !== 206) return `${reply.status} instead of 206`;
    const { "content-range": given = "missing" } = reply.headers;
    if (given !== range) return `Content-Range is ${given} instead of ${range}`;
    return last < body.length && !reply.body.equals(body.subarray(first, last + 1)) ? "the bytes differ from the whole file's" : null;
  };
}

/** RFC 9110 §14.2: a server may ignore Range and send the whole; §14.6: else it sends multipart/byteranges. */
function judgeMany(length: number, body: Buffer): Judge {
  return (reply) => {
    if (reply.status === 200) return reply.headers["content-length"] === String(length) ? null : "a 200 that is not the whole";
    if (reply.status !== 206) return `${reply.status} instead of 206`;
    const { "content-type": type = "missing" } = reply.headers;
    if (!type.startsWith("multipart/byteranges;")) return `Content-Type is ${type}`;
    const text = reply.body.toString("latin1");
    const wanted = [0, 2].filter((at) => at < length);
    return wanted.every((at) => text.includes(`bytes ${at}-${at}/${length}\r\n\r\n${body.subarray(at, at + 1).toString("latin1")}\r\n`))
      ? null
      : "it has other parts than the request asked for";
  };
}
