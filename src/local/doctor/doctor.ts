import { attempt, bad, type Finding, good } from "./finding.ts";
import { type Ask, type Reply } from "./ask.ts";
import { checkAbsent, checkCodings, checkRequests, judgeRefusal, judgeWhole } from "./check-answers.ts";
import { checkRoot, checkWarmth, type CachingPorts } from "./check-caching.ts";
import { checkAgents, judgeChallenge } from "./check-clients.ts";
import { checkDns, checkSchemes, checkTls, type ConnectionPorts, judgeClock } from "./check-connection.ts";
import { checkPart, checkResume, checkTogether } from "./check-downloads.ts";
import { checkClosed, judgeFront } from "./check-edge.ts";
import { checkStatus } from "./check-operator.ts";
import { findSite } from "./find-site.ts";
import { findTargets } from "./find-targets.ts";
import type { Target } from "./follow.ts";

/** What the doctor needs of the outside. `ask` sends the user's password; `askAsStranger` sends none. `isOver`: whether the requests have used up their limits. */
export type DoctorPorts = ConnectionPorts & CachingPorts & { readonly askAsStranger: Ask; readonly isOver: () => boolean };

/** A finding with the group that it belongs to. */
export type GroupedFinding = Finding & { readonly group: string };

/**
 * Checks a mirror as its clients would use it, and yields one finding after the other. `url`: a file of it, a folder, or the server itself (`/`, or below a path); of
 * several mirrors the first is looked at closely. `token`: the operator's, for what only the status page shows.
 */
export async function* diagnose(url: URL, ports: DoctorPorts, token?: string): AsyncGenerator<GroupedFinding> {
  for await (const finding of examine(url, ports, token)) {
    // What failed for want of time or bytes is no fault of the mirror.
    yield finding.verdict === "bad" && ports.isOver() ? { ...finding, verdict: "unsure", remedy: LIMIT_REMEDY } : finding;
  }
}

const LIMIT_REMEDY = "The doctor has used up its time or its bytes: run it with the URL of this mirror, or of one file, alone.";

async function* examine(url: URL, ports: DoctorPorts, token: string | undefined): AsyncGenerator<GroupedFinding> {
  const { ask, askAsStranger } = ports;
  if (!(yield* grouped("Connection", checkDns(url, ports.resolve)))) return;
  const site = await findSite(url, ask);
  const schemes = yield* grouped("Connection", checkSchemes(site, ask));
  if (url.protocol === "https:") yield* grouped("Connection", checkTls(url, ports));

  const targets = yield* grouped("Mirrors", findTargets(url, site, ask));
  const [main, ...others] = targets;
  let answer: Reply | null = null;
  if (main !== undefined) {
    answer = yield* grouped("Clients", checkClients(main.file, schemes, ports));
    if (answer?.status === 200) yield* checkClosely(main, answer, ports);
    for (const target of others) yield* grouped("Other mirrors", checkShortly(target, ask));
  }
  if (answer !== null) yield* grouped("Front", judgeFront(answer));
  if (schemes.length > 0) yield* grouped("Operator", checkClosed(site, askAsStranger));
  if (token !== undefined) yield* grouped("Operator", checkStatus(site, token, askAsStranger));
}

/** Whether all clients are let through. Returns the answer to a GET of the file; null: there was none. */
async function* checkClients(file: URL, schemes: readonly string[], { ask, now }: DoctorPorts): AsyncGenerator<Finding, Reply | null> {
  const whole = await attempt(ask(file, { headers: { "Accept-Encoding": "gzip, br, zstd" } }));
  if ("error" in whole) {
    yield bad("GET", `no answer: ${whole.error}`, "Is the mirror running, and does a firewall let this port through?");
    return null;
  }
  yield judgeChallenge(whole);
  yield judgeClock(whole.headers.date, now());
  // With hosts of their own mirrors may have another port or scheme than the given URL.
  const own = new Set([file.protocol, ...(file.port === "" ? schemes : [])]);
  yield* checkAgents(file, [...own], ask);
  if (whole.status !== 200) yield judgeRefusal(whole);
  return whole;
}

async function* checkClosely({ root, file, other, large }: Target, whole: Reply, ports: DoctorPorts): AsyncGenerator<GroupedFinding> {
  const { ask, now } = ports;
  const text = root ?? file;
  yield* grouped("Answers", judgeWhole(whole));
  yield* grouped("Answers", checkRequests(file, whole, ask));
  yield* grouped("Answers", checkAbsent(file, ask));
  yield* grouped("Answers", checkCodings(text, ask));
  yield* grouped("Caching", checkWarmth(file, whole, ports));
  if (root !== undefined) yield* grouped("Caching", checkRoot(root, ports));
  yield* grouped("Downloads", checkResume(file, whole, ask));
  yield* grouped("Downloads", checkTogether(other, ask));
  if (large !== undefined) yield* grouped("Downloads", checkPart(large, ask, now));
}

const SHORT_BYTES = 64 * 1024;

/** One line for a mirror: whether a file of it comes, with what clients need. */
async function* checkShortly({ name, file }: Target, ask: Ask): AsyncGenerator<Finding> {
  const reply = await attempt(ask(file, { maxBytes: SHORT_BYTES }));
  if ("error" in reply) yield bad(name, `no answer: ${reply.error}`, `Run the doctor with ${file.href} alone.`);
  else if (reply.status !== 200) yield { ...judgeRefusal(reply), check: name };
  else {
    const wrong = ["etag", "content-length", "accept-ranges", "cache-status"].filter((header) => reply.headers[header] === undefined);
    if (reply.headers["content-encoding"] !== undefined) wrong.push("an unencoded body");
    const again = await attempt(ask(file, { maxBytes: SHORT_BYTES }));
    const [before, after] = [reply, again].map((one) => ("error" in one ? one.error : String(one.headers["cache-status"] ?? one.status)));
    yield wrong.length === 0
      ? good(name, `${file.pathname}: ${before}, then ${after}`)
      : bad(name, `${file.pathname} lacks ${wrong.join(", ")}`, `Run the doctor with ${file.href} alone.`);
  }
}

async function* grouped<T>(group: string, findings: AsyncGenerator<Finding, T> | Generator<Finding, T>): AsyncGenerator<GroupedFinding, T> {
  for (;;) {
    const next = await findings.next();
    if (next.done === true) return next.value;
    yield { group, ...next.value };
  }
}
