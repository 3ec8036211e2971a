import { createFileUpstream, type Labels } from "./file-upstream.ts";
import type { Publication } from "./publications.ts";
import { sha256 } from "./signatures.ts";

/** What happens to a request at a faulty upstream. */
export type Fault = "refused" | "error-500" | "error-503" | "silent" | "cut" | null;

/** One upstream, as it is at this moment. */
export interface UpstreamState {
  readonly url: string;
  files: Map<string, Uint8Array>;
  /** The publication whose root it shows; null: none. */
  shows: Publication | null;
  fault: Fault;
  absentStatus: 404 | 403;
  labels: Labels;
  /** `x-gzip`: Content-Encoding on every .gz; `html`: Content-Type text/html on everything; `none`: no Content-Type. */
  mislabels: "x-gzip" | "html" | "none" | null;
  isChunked: boolean;
  firstByteMs: number;
}

const LABELS: Labels = { tag: "strong", date: "constant", takesRanges: true };

export function createUpstreamState(url: string): UpstreamState {
  return {
    url,
    files: new Map(),
    shows: null,
    fault: null,
    absentStatus: 404,
    labels: LABELS,
    mislabels: null,
    isChunked: false,
    firstByteMs: 5,
  };
}

/** Answers as the upstreams are at this moment; `served` gets all that any of them ever had under a path, by digest. */
export function createUpstreamFetch(upstreams: readonly UpstreamState[]) {
  const counts = new Map<string, number>();
  return async (url: string, init: RequestInit = {}): Promise<Response> => {
    const { origin, pathname } = new URL(url);
    const state = upstreams.find((upstream) => upstream.url === origin);
    if (state === undefined) throw new TypeError(`no such host: ${origin}`);
    await sleep(state.firstByteMs);
    if (init.signal?.aborted === true) throw new Error("aborted");
    if (state.fault === "refused") throw new TypeError("connection refused");
    if (state.fault === "silent")
      return new Promise<Response>((_, reject) => setTimeout(() => reject(new Error("reset after a long silence")), 600_000));
    if (state.fault === "error-500") return new Response("broken", { status: 500 });
    if (state.fault === "error-503") return new Response("busy", { status: 503 });
    const path = decodeURIComponent(pathname.slice(1));
    const bytes = state.files.get(path);
    if (bytes === undefined) return new Response("there is nothing", { status: state.absentStatus });
    const headers = new Headers(init.headers);
    const content = sha256(bytes).slice(0, 16);
    const server = createFileUpstream({
      name: new URL(url).host,
      labels: state.labels,
      file: () => ({ bytes, content }),
      breakAt: () => (state.fault === "cut" ? 0.4 : null),
      bytesPerSecond: 20_000_000,
      dateOf: () => modifiedAt(state, path, content),
      responses: () => counts.set(url, (counts.get(url) ?? 0) + 1).get(url) ?? 0,
    });
    if (init.method === "HEAD") return relabel(state, path, await server(headers, init.signal ?? null), true);
    return relabel(state, path, await server(headers, init.signal ?? null), false);
  };
}

/** A date of its own for each content of a path, as a file that is replaced has; whole seconds before the history. */
function modifiedAt({ shows }: UpstreamState, path: string, content: string): number {
  const offset = Number.parseInt(sha256(new TextEncoder().encode(path + content)).slice(0, 6), 16);
  return ((shows?.date ?? 1_700_000_000) - 10_000_000 - offset) * 1000;
}

function relabel(state: UpstreamState, path: string, { body, status, headers }: Response, isHead: boolean): Response {
  if (state.mislabels === "x-gzip" && path.endsWith(".gz")) headers.set("content-encoding", "x-gzip");
  if (state.mislabels === "html") headers.set("content-type", "text/html");
  if (state.mislabels === "none") headers.delete("content-type");
  if (state.isChunked && status === 200) headers.delete("content-length");
  if (isHead) void body?.cancel();
  return new Response(isHead ? null : body, { status, headers });
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
