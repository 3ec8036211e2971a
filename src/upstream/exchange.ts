import type { Config } from "../config/config.ts";
import { within, type Timer } from "../clock/timer.ts";
import { encodePath } from "../route/canonical-path.ts";
import { createBodyReader, messageOf, type BodyReader } from "./body-reader.ts";
import { classifyResponse, type ClassifiedResponse, type SentRequest } from "./classify-response.ts";
import type { HealthEvent } from "./health.ts";
import { addsSlash, resolveRedirect } from "./redirect.ts";
import { simplerRequest } from "./simpler-request.ts";
import type { Slots } from "./slots.ts";
import type { UpstreamRequest } from "./upstream.ts";
import { type Via, viaKey } from "./via.ts";

const MAX_REDIRECTS = 5;

/** One request to one upstream. */
export interface ExchangeRequest extends SentRequest, Pick<UpstreamRequest, "mirror" | "path" | "query"> {
  /** Strong entity tag for If-Range: a server that has another version sends it whole (RFC 9110 §13.1.5). */
  readonly ifRange?: string | undefined;
}

/** The classified response, or why there is none. The receiver of a `body` must read it to the end, close it or hand it over. */
export type ExchangeResult =
  | (Extract<ClassifiedResponse, { kind: "body" }> & { readonly body: BodyReader })
  | Exclude<ClassifiedResponse, { kind: "body" }>
  /** A redirect that only adds a slash: the path names a folder. */
  | { readonly kind: "folder" }
  /** No headers within the first-byte limit. */
  | { readonly kind: "timeout"; readonly detail: string }
  /** The connection failed before the headers were complete. */
  | { readonly kind: "connection"; readonly detail: string };

/** Makes one exchange with one upstream. Never throws. */
export type Exchange = (request: ExchangeRequest) => Promise<ExchangeResult>;

/** The network, the clock and the state that exchanges share. */
export interface ExchangeDependencies {
  readonly config: Pick<Config, "upstreamFirstByteSeconds" | "upstreamStallSeconds" | "contactUrl"> & Partial<Pick<Config, "offline">>;
  /** The program's version, for the User-Agent. */
  readonly version: string;
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  readonly now: () => number;
  readonly after: Timer;
  /** From [0, 1). */
  readonly random: () => number;
  readonly slots: Slots;
  readonly via: Pick<Via, "headerFor">;
  /** Updates the health of an upstream, by configured URL. */
  readonly record: (upstream: string, event: HealthEvent) => void;
}

/**
 * Sends one request and follows its redirects: connecting, headers and redirects together take at most the first-byte limit. Where the upstream refuses
 * the request as it is made, sends a simpler one, once. Records the result in the upstream's health. Never throws.
 */
export async function askUpstream(request: ExchangeRequest, deps: ExchangeDependencies): Promise<ExchangeResult> {
  let exchanged = await exchange(request, deps);
  const simpler = simplerRequest(request, exchanged.result.kind, exchanged.status);
  // Of both only the last result counts for the breaker: the server works.
  if (simpler !== null) exchanged = await exchange(simpler, deps);
  // By now another request may wait for the same answer that has passed fewer mirrors: then the Via is another one, and the upstream may answer.
  if (isRing(exchanged) && viaOf(request, deps) !== exchanged.via) exchanged = await exchange(simpler ?? request, deps);
  const { result, firstByteMs } = exchanged;
  recordResult(result, request, firstByteMs, deps);
  if (result.kind === "refused" && isRing(exchanged)) return { ...result, isRing: true };
  if (request.method === "GET" || result.kind !== "body") return result;
  result.body.close("only the headers were asked for");
  deps.record(request.upstream.url, { kind: "success", path: fileOf(request) });
  return { kind: "head", representation: result.representation };
}

interface Exchanged {
  readonly result: ExchangeResult;
  /** Of the final response; undefined: there is none. */
  readonly status: number | undefined;
  readonly firstByteMs: number;
  /** The Via that was sent. */
  readonly via: string;
}

function viaOf({ mirror, path, query }: ExchangeRequest, deps: ExchangeDependencies): string {
  return deps.via.headerFor(viaKey(mirror, path, query));
}

/** Whether the upstream refused the request for the mirrors that it had passed before this one. */
function isRing({ status, via }: Exchanged): boolean {
  return status === 508 && via.includes(",");
}

/** Names a file of an upstream among its others. */
export function fileOf({ path, query }: Pick<UpstreamRequest, "path" | "query">): string {
  return path + query;
}

async function exchange(request: ExchangeRequest, deps: ExchangeDependencies): Promise<Exchanged> {
  const { url } = request.upstream;
  const { config, now, after, record } = deps;
  const slot = await deps.slots.take(url, fileOf(request));
  const startedAt = now();
  const via = viaOf(request, deps);
  const abort = new AbortController();
  const fetching = followRedirects(request, via, deps, abort.signal);
  const seconds = config.upstreamFirstByteSeconds;
  const timeout = { kind: "timeout", detail: `sent no headers within ${seconds} s` } as const;
  // The limit holds even where `fetch` ignores its signal.
  const fetched = await within(fetching, seconds * 1000, () => timeout, after);
  if (fetched.kind !== "response") {
    abort.abort();
    // The response may still come, and its unread body would hold the connection.
    void fetching.then((late) => (late.kind === "response" ? late.response.body?.cancel() : undefined)).catch(() => {});
    slot.release();
    return { result: fetched, status: undefined, firstByteMs: now() - startedAt, via };
  }
  const { response } = fetched;
  const { status } = response;
  const firstByteMs = now() - startedAt;
  const classified = classifyResponse(response, request, now());
  if (classified.kind !== "body") {
    slot.release();
    void response.body?.cancel().catch(() => {});
    return { result: classified, status, firstByteMs, via };
  }
  const { first, end } = classified;
  const body = createBodyReader(response.body ?? emptyStream(), {
    stallMs: config.upstreamStallSeconds * 1000,
    length: end === undefined ? undefined : end - first,
    now,
    after,
    onBytes: slot.touch,
    onHandOver: slot.release,
    onClose({ bytes, waitedMs }, isComplete) {
      slot.release();
      if (!isComplete) abort.abort();
      record(url, { kind: "flow", bytes, waitedMs, path: fileOf(request) });
    },
  });
  return { result: { ...classified, body }, status, firstByteMs, via };
}

type Fetched =
  | Extract<ExchangeResult, { kind: "connection" | "wrong" | "folder" }>
  | { readonly kind: "response"; readonly response: Response };

async function followRedirects(request: ExchangeRequest, via: string, deps: ExchangeDependencies, signal: AbortSignal): Promise<Fetched> {
  const { mirror, upstream } = request;
  const target = `${upstream.url}/${encodePath(request.path)}${request.query}`;
  let url = new URL(target);
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    let response: Response;
    try {
      response = await deps.fetch(redirects === 0 ? target : url.href, {
        method: request.method,
        headers: requestHeaders(request, url, via, deps),
        redirect: "manual",
        // At the edge a fetch of any site reads through the cache of the Worker's own zone: a HEAD becomes a GET, a Range fetches the whole file, and an
        // APKINDEX.tar.gz stays for two hours. `no-store` is the documented way past it (Cloudflare's page "Request" of the Workers runtime APIs).
        cache: "no-store",
        signal,
        // For workerd, which would otherwise decode a gzip body and leave the headers of the encoded one.
        encodeResponseBody: "manual",
      });
    } catch (error) {
      return { kind: "connection", detail: `could not be reached (${explainFetchError(error)})` };
    }
    if (![301, 302, 303, 307, 308].includes(response.status)) return { kind: "response", response };
    void response.body?.cancel().catch(() => {});
    const location = response.headers.get("location");
    if (addsSlash(location, url, request)) return { kind: "folder" };
    const next = resolveRedirect(location, url, mirror, upstream.url);
    if (next.kind === "refused") return { kind: "wrong", detail: next.detail };
    url = next.url;
  }
  return { kind: "wrong", detail: `redirects more than ${MAX_REDIRECTS} times` };
}

/** workerd says "internal error; reference = …", which reads as if the mirror were broken; mostly the upstream's name has no address. */
function explainFetchError(error: unknown): string {
  const message = messageOf(error);
  return message.startsWith("internal error; reference = ") ? "its name could not be looked up, or the connection failed" : message;
}

/** All headers that an upstream sees. Of the clients' requests they hold only the names of lazy mirrors that all of them have passed. */
function requestHeaders(request: ExchangeRequest, url: URL, via: string, deps: ExchangeDependencies): Record<string, string> {
  const { range, conditional, upstream } = request;
  const contact = deps.config.contactUrl;
  const headers: Record<string, string> = {
    accept: "*/*",
    "accept-encoding": "identity",
    // Where these two are absent the runtime adds `no-cache` to a fetch with `cache: "no-store"`. A cache in front of the upstream, such as another lazy
    // mirror, would then ask its own upstream again for each file that it has (RFC 9111 §5.2.1.4, §5.4).
    "cache-control": "no-transform",
    pragma: "no-transform",
    via,
    "user-agent": `lazy-mirror/${deps.version}${contact === undefined ? "" : ` (+${contact})`}`,
  };
  if (range !== undefined) headers["range"] = `bytes=${range.first}-${range.last ?? ""}`;
  if (range !== undefined && request.ifRange !== undefined) headers["if-range"] = request.ifRange;
  // RFC 9110 §13.1.3: a date beside an entity tag is ignored; equal dates hide changes within a second.
  if (conditional?.etag !== undefined) headers["if-none-match"] = conditional.etag;
  else if (conditional?.lastModified !== undefined) headers["if-modified-since"] = conditional.lastModified;
  if (upstream.authorization !== undefined && url.origin === new URL(upstream.url).origin) {
    headers["authorization"] = upstream.authorization;
  }
  return headers;
}

/** A 200 with Content-Length 0 may come without a body. */
function emptyStream(): ReadableStream<Uint8Array> {
  return new ReadableStream({ type: "bytes", start: (controller) => controller.close() });
}

/** Records the result in the upstream's health. A body is a success only when it ended whole: the byte source records that. */
function recordResult(result: ExchangeResult, request: ExchangeRequest, firstByteMs: number, deps: ExchangeDependencies): void {
  const path = fileOf(request);
  const record = (event: HealthEvent): void => deps.record(request.upstream.url, { ...event, path });
  switch (result.kind) {
    case "limited":
      record({ kind: "limited", seconds: result.retryAfterSeconds });
      break;
    case "busy":
    case "wrong":
      record({ kind: "failure", random: deps.random() });
      break;
    case "timeout":
    case "connection":
      record({ kind: "failure", random: deps.random(), isSilent: true });
      break;
    default:
      record({ kind: "answered", firstByteMs });
      if (result.kind !== "body") record({ kind: "success" });
  }
}
