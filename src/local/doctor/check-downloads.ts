import { type Ask, MAX_BYTES, type Reply } from "./ask.ts";
import { part } from "./check-answers.ts";
import { attempt, bad, type Finding, good, PROXY_REMEDY } from "./finding.ts";

const CLIENTS = 10;
const TOGETHER_BYTES = 256 * 1024;
const PART_BYTES = 100;

/** A download that breaks off in the middle and goes on by Range and If-Range, as apt, curl and dnf do it. `whole`: the answer to a plain GET. */
export async function* checkResume(url: URL, whole: Reply, ask: Ask): AsyncGenerator<Finding> {
  const check = "resumed download";
  const { length } = whole.body;
  const half = Math.floor(length / 2);
  const began = await attempt(ask(url, { maxBytes: half }));
  if ("error" in began) {
    yield bad(check, `no answer: ${began.error}`, PROXY_REMEDY);
    return;
  }
  const { etag = "" } = began.headers;
  const rest = await attempt(ask(url, { headers: { Range: `bytes=${half}-${length - 1}`, "If-Range": etag } }));
  const wrong = "error" in rest ? `no answer: ${rest.error}` : part(whole, half, length - 1)(rest);
  if (wrong !== null) yield bad(check, `cut at ${half} bytes; then ${wrong}`, PROXY_REMEDY);
  else if (!began.body.equals(whole.body.subarray(0, half))) yield bad(check, "its first half differs from the whole file", PROXY_REMEDY);
  else yield good(check, `cut at ${half} bytes, the rest fits`);
}

/** Ten clients ask for one file at the same moment, as a fleet does after an update. */
export async function* checkTogether(url: URL, ask: Ask): AsyncGenerator<Finding> {
  const check = `${CLIENTS} clients at once`;
  const replies = await Promise.all(Array.from({ length: CLIENTS }, () => attempt(ask(url, { maxBytes: TOGETHER_BYTES }))));
  const answered = replies.filter((reply): reply is Reply => !("error" in reply));
  const [first] = answered;
  const failed = replies.find((reply) => "error" in reply || reply.status !== 200);
  if (failed !== undefined) {
    const why = "error" in failed ? failed.error : `the answer is ${failed.status}`;
    yield bad(check, `one of them got none: ${why}`, "Look at the log (npx wrangler tail, or what the server prints) for what failed.");
    return;
  }
  const isEqual = answered.every(({ body, headers }) => first?.body.equals(body) === true && headers.etag === first.headers.etag);
  yield isEqual ? good(check, `equal bytes, ${first?.body.length ?? 0} each`) : bad(check, "their bytes or ETags differ", PROXY_REMEDY);
}

/** A few bytes from the middle of a large file: only these come, and soon. `now`: milliseconds. */
export async function* checkPart(url: URL, ask: Ask, now: () => number): AsyncGenerator<Finding> {
  const check = "part of a large file";
  const head = await attempt(ask(url, { method: "HEAD" }));
  const length = "error" in head ? Number.NaN : Number(head.headers["content-length"] ?? Number.NaN);
  if (!(length > PART_BYTES * 2)) return;
  const first = Math.floor(length / 2);
  const began = now();
  const reply = await attempt(ask(url, { headers: { Range: `bytes=${first}-${first + PART_BYTES - 1}` }, maxBytes: MAX_BYTES }));
  const seconds = ((now() - began) / 1000).toFixed(1);
  if ("error" in reply) yield bad(check, `no answer: ${reply.error}`, PROXY_REMEDY);
  else if (reply.status !== 206 || reply.body.length !== PART_BYTES)
    yield bad(check, `${reply.status} with ${reply.body.length} bytes instead of 206 with ${PART_BYTES}`, PROXY_REMEDY);
  else yield good(check, `${PART_BYTES} bytes from the middle of ${length}, in ${seconds} s`);
}
