import type { Config, Mirror, PathClass, Upstream } from "../config/config.ts";
import { upstreamUrl } from "../route/upstream-url.ts";
import type { BodyReader } from "./body-reader.ts";
import { createBodyReader } from "./body-reader.ts";
import type { Verdict } from "./classify-answer.ts";
import { classifyAnswer } from "./classify-answer.ts";
import type { HealthEvent } from "./health.ts";
import { resolveRedirect } from "./redirect.ts";
import type { Slot, Slots } from "./slots.ts";
import type { Timer } from "./timer.ts";
import type { Via } from "./via.ts";

const MAX_REDIRECTS = 5;

/** One question to one upstream. */
export interface Question {
  readonly mirror: Mirror;
  readonly upstream: Upstream;
  readonly path: string;
  readonly query: string;
  readonly class: PathClass;
  readonly method: "GET" | "HEAD";
  readonly range?: { readonly first: number; readonly last?: number } | undefined;
  /** Strong entity tag: the range is wanted only of this version (RFC 9110 §13.1.5). */
  readonly ifRange?: string | undefined;
  readonly conditional?: { readonly etag?: string; readonly lastModified?: string } | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What came of it. A `body` must be closed by whoever takes it. */
export type Outcome =
  | (Extract<Verdict, { kind: "body" }> & { readonly body: BodyReader })
  | Exclude<Verdict, { kind: "body" }>
  /** No headers in time. */
  | { readonly kind: "timeout"; readonly detail: string }
  | { readonly kind: "connection"; readonly detail: string };

export interface ExchangeDeps {
  readonly config: Pick<Config, "upstreamFirstByteSeconds" | "upstreamStallSeconds" | "contactUrl">;
  /** Of this program, for the User-Agent. */
  readonly version: string;
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  readonly now: () => number;
  readonly after: Timer;
  readonly random: () => number;
  readonly slots: Slots;
  readonly via: Pick<Via, "headerFor">;
  readonly record: (upstream: string, event: HealthEvent) => void;
}

/** Asks once: connect, headers and redirects within the first-byte limit; the outcome is recorded in the upstream's health. Never throws. */
export async function askUpstream(question: Question, deps: ExchangeDeps): Promise<Outcome> {
  const { upstream } = question;
  const slot = await deps.slots.take(upstream.url);
  const startedAt = deps.now();
  const abort = new AbortController();
  const onAbort = (): void => abort.abort(question.signal?.reason);
  question.signal?.addEventListener("abort", onAbort, { once: true });
  const answer = question.signal?.aborted ? GIVEN_UP : await withinFirstByteLimit(followRedirects(question, deps, abort), abort, deps);
  if (answer.kind !== "response") {
    slot.release();
    question.signal?.removeEventListener("abort", onAbort);
    if (!question.signal?.aborted) deps.record(upstream.url, { kind: "failure", random: deps.random() });
    return answer;
  }
  const { response } = answer;
  const verdict = classifyAnswer(
    response.status,
    response.headers,
    { method: question.method, class: question.class, range: question.range, isConditional: question.conditional !== undefined },
    upstream.url,
    deps.now(),
  );
  recordVerdict(verdict, upstream.url, deps.now() - startedAt, deps);
  if (verdict.kind === "body") {
    const body = openBody(response, verdict, slot, abort, question, deps);
    question.signal?.addEventListener("abort", () => body.close("given up"), { once: true });
    return { ...verdict, body };
  }
  slot.release();
  question.signal?.removeEventListener("abort", onAbort);
  void response.body?.cancel().catch(() => {});
  return verdict;
}

const GIVEN_UP = { kind: "connection", detail: "was given up by the request" } as const;

type Answer = Extract<Outcome, { kind: "timeout" | "connection" | "wrong" }> | { readonly kind: "response"; readonly response: Response };

/** An upstream that swallows connections must not hold the request: the limit counts even if fetch ignored its signal. */
async function withinFirstByteLimit(work: Promise<Answer>, abort: AbortController, deps: ExchangeDeps): Promise<Answer> {
  const seconds = deps.config.upstreamFirstByteSeconds;
  let callOff = (): void => {};
  const timeout = new Promise<Answer>((resolve) => {
    callOff = deps.after(seconds * 1000, () => resolve({ kind: "timeout", detail: `sent no headers within ${seconds} s` }));
  });
  const givenUp = new Promise<Answer>((resolve) => {
    abort.signal.addEventListener("abort", () => resolve(GIVEN_UP), { once: true });
  });
  const answer = await Promise.race([work, timeout, givenUp]);
  callOff();
  if (answer.kind !== "response") {
    abort.abort();
    // It may still come: its body would hold the connection.
    void work.then((late) => (late.kind === "response" ? late.response.body?.cancel() : undefined)).catch(() => {});
  }
  return answer;
}

async function followRedirects(question: Question, deps: ExchangeDeps, abort: AbortController): Promise<Answer> {
  const { mirror, upstream } = question;
  const target = upstreamUrl(upstream, question.path, question.query);
  let url = new URL(target);
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    let response: Response;
    try {
      response = await deps.fetch(redirects === 0 ? target : url.href, {
        method: question.method,
        headers: requestHeaders(question, url, deps),
        redirect: "manual",
        signal: abort.signal,
        // workerd's: else it would decode a gzip body while the headers go on to speak of the encoded one.
        encodeResponseBody: "manual",
      });
    } catch (error) {
      return { kind: "connection", detail: `could not be reached (${explain(error)})` };
    }
    if (![301, 302, 303, 307, 308].includes(response.status)) return { kind: "response", response };
    void response.body?.cancel().catch(() => {});
    const next = resolveRedirect(response.headers.get("location"), url, mirror, upstream.url);
    if (next.kind === "refused") return { kind: "wrong", detail: next.detail };
    url = next.url;
  }
  return { kind: "wrong", detail: `redirects more than ${MAX_REDIRECTS} times` };
}

/** workerd hides why: the name has no address, mostly; the reference is of use to Cloudflare only, and reads as if the mirror were broken. */
function explain(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.startsWith("internal error; reference = ") ? "its name could not be looked up, or the connection failed" : message;
}

/** All that an upstream gets to see: nothing of the client's request but the lazy mirrors that it has passed. */
function requestHeaders(question: Question, url: URL, deps: ExchangeDeps): Record<string, string> {
  const { range, conditional, upstream } = question;
  const contact = deps.config.contactUrl;
  const headers: Record<string, string> = {
    accept: "*/*",
    "accept-encoding": "identity",
    via: deps.via.headerFor(`${question.mirror.name}/${question.path}${question.query}`),
    "user-agent": `lazy-mirror/${deps.version}${contact === undefined ? "" : ` (+${contact})`}`,
  };
  if (range !== undefined) headers["range"] = `bytes=${range.first}-${range.last ?? ""}`;
  if (range !== undefined && question.ifRange !== undefined) headers["if-range"] = question.ifRange;
  // RFC 9110 §13.1.3: a date beside an entity tag is ignored; equal dates hide changes within a second.
  if (conditional?.etag !== undefined) headers["if-none-match"] = conditional.etag;
  else if (conditional?.lastModified !== undefined) headers["if-modified-since"] = conditional.lastModified;
  if (upstream.authorization !== undefined && url.origin === new URL(upstream.url).origin) {
    headers["authorization"] = upstream.authorization;
  }
  return headers;
}

function openBody(
  response: Response,
  { first, end }: Extract<Verdict, { kind: "body" }>,
  slot: Slot,
  abort: AbortController,
  question: Question,
  deps: ExchangeDeps,
): BodyReader {
  return createBodyReader(response.body ?? emptyStream(), {
    stallMs: deps.config.upstreamStallSeconds * 1000,
    length: end === undefined ? undefined : end - first,
    now: deps.now,
    after: deps.after,
    onBytes: slot.touch,
    onHandOver: () => slot.release(),
    onClose(flow, isComplete) {
      slot.release();
      if (!isComplete) abort.abort();
      deps.record(question.upstream.url, { kind: "flow", bytes: flow.bytes, waitedMs: flow.waitedMs });
    },
  });
}

/** A 200 of length 0 may have no body at all. */
function emptyStream(): ReadableStream<Uint8Array> {
  return new ReadableStream({ type: "bytes", start: (controller) => controller.close() });
}

/** A body counts as success only once it is whole: the byte source records that. */
function recordVerdict(verdict: Verdict, upstream: string, firstByteMs: number, deps: ExchangeDeps): void {
  if (verdict.kind === "busy" && verdict.retryAfterSeconds !== undefined) {
    deps.record(upstream, { kind: "retry-after", seconds: verdict.retryAfterSeconds });
  } else if (verdict.kind === "wrong" || verdict.kind === "busy") {
    deps.record(upstream, { kind: "failure", random: deps.random() });
  } else {
    deps.record(upstream, { kind: "answered", firstByteMs });
    if (verdict.kind !== "body") deps.record(upstream, { kind: "success" });
  }
}
