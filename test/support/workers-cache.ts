import type { CachedEntrypoint } from "../../src/store/workers-cache.ts";

/** Statuses that Workers Cache keeps where the Worker sent neither Cache-Control nor Expires, and for how many seconds. */
const HEURISTIC_SECONDS: Readonly<Record<number, number>> = {
  200: 7200,
  203: 7200,
  204: 7200,
  300: 1200,
  301: 1200,
  404: 180,
  405: 60,
  410: 180,
  414: 60,
  501: 60,
};
const MAX_BYTES = 512 * 1024 * 1024;

interface Entry {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Milliseconds since the epoch. */
  readonly freshUntil: number;
  readonly staleIfErrorMs: number;
}

export interface WorkersCacheRules {
  /** The inner entrypoint: runs where no tier has an answer. */
  readonly run: (request: Request) => Promise<Response>;
  readonly now: () => number;
}

/**
 * Workers Cache as Cloudflare documents it (developers.cloudflare.com/workers/cache/, read in November 2026): an upper tier for the world, a lower tier for
 * each data centre. Its key is path and query, without host and method. The Worker gets no Range; ranges are cut out of what it answers. What is not
 * cacheable is passed on: 206, 520 to 526, `no-store`, `private`, Set-Cookie, a request with Authorization where nothing allows it, more than 512 MB.
 * Requests for one key at one data centre wait for one run. Errors on renewal serve what is stale, for ever unless `stale-if-error` says otherwise.
 */
export function createWorkersCacheRules({ run, now }: WorkersCacheRules) {
  const upper = new Map<string, Entry>();
  const runs: string[] = [];

  async function fill(key: string, request: Request): Promise<{ status: string; entry: Entry | null; response: Response | null }> {
    const stale = upper.get(key);
    if (stale !== undefined && now() < stale.freshUntil) return { status: "HIT", entry: stale, response: null };
    runs.push(key);
    const headers = new Headers(request.headers);
    headers.delete("range");
    const response = await run(new Request(request.url, { method: "GET", headers })).catch(() => new Response(null, { status: 500 }));
    const canBeStale = stale !== undefined && now() < stale.freshUntil + stale.staleIfErrorMs;
    if (response.status >= 500 && canBeStale) {
      await response.body?.cancel();
      return { status: "STALE", entry: stale, response: null };
    }
    const seconds = lifeOf(request, response);
    if (seconds === null) return { status: "BYPASS", entry: null, response };
    // A body that ends early is an error of the Worker: nothing of it is stored.
    const bytes = new Uint8Array(await response.arrayBuffer());
    const declared = response.headers.get("content-length");
    if (declared !== null && Number(declared) !== bytes.length) throw new Error("the Worker's body was cut");
    const entry = {
      status: response.status,
      headers: response.headers,
      bytes,
      freshUntil: now() + seconds * 1_000,
      staleIfErrorMs: staleIfErrorOf(response),
    };
    if (bytes.length <= MAX_BYTES) upper.set(key, entry);
    return { status: stale === undefined ? "MISS" : "EXPIRED", entry, response: null };
  }

  return {
    /** Keys for which the entrypoint ran since the last question. */
    ran: (): string[] => runs.splice(0),
    /** A data centre's own tier, as the Worker that runs there calls it. */
    dataCentre(): CachedEntrypoint & { fetch(url: string, init?: RequestInit): Promise<Response> } {
      const lower = new Map<string, Entry>();
      const underway = new Map<string, ReturnType<typeof fill>>();
      return {
        async fetch(url: string, init: RequestInit = {}): Promise<Response> {
          const request = new Request(url, init);
          if (request.method !== "GET" && request.method !== "HEAD") return marked(await run(request), "BYPASS");
          const { pathname, search } = new URL(url);
          const key = pathname + search;
          const found = lower.get(key);
          if (found !== undefined && now() < found.freshUntil) return cut(found, request, "HIT");
          const shared = underway.get(key);
          // Answers that may not be stored are not shared: each request has its own run.
          let filled = shared === undefined ? null : await shared.catch(() => null);
          if (filled === null || filled.entry === null) {
            const own = fill(key, request);
            underway.set(key, own);
            filled = await own.finally(() => underway.delete(key));
          }
          const { status, entry, response } = filled;
          if (entry === null) return marked(response as Response, status);
          lower.set(key, entry);
          return cut(entry, request, status);
        },
      };
    },
  };
}

/** For how many seconds the answer is fresh; null: it must not be stored. */
function lifeOf(request: Request, { status, headers }: Response): number | null {
  const control = headers.get("cache-control");
  if (status === 206 || (status >= 520 && status <= 526) || headers.has("set-cookie") || headers.get("vary") === "*") return null;
  if (request.headers.has("authorization") && !/\b(public|must-revalidate|s-maxage)\b/.test(control ?? "")) return null;
  if (control === null) return HEURISTIC_SECONDS[status] ?? null;
  if (/\b(no-store|private)\b/.test(control)) return null;
  const [, seconds] = /\b(?:s-maxage|max-age)=(\d+)/.exec(control) ?? [];
  return seconds === undefined ? (HEURISTIC_SECONDS[status] ?? null) : Number(seconds);
}

function staleIfErrorOf({ headers }: Response): number {
  const control = headers.get("cache-control") ?? "";
  if (/\b(s-maxage|must-revalidate|proxy-revalidate)\b/.test(control)) return 0;
  const [, seconds] = /\bstale-if-error=(\d+)/.exec(control) ?? [];
  return seconds === undefined ? Infinity : Number(seconds) * 1_000;
}

function cut({ status, headers, bytes }: Entry, request: Request, cacheStatus: string): Response {
  const own = new Headers(headers);
  own.set("Cf-Cache-Status", cacheStatus);
  const range = request.headers.get("range");
  const [, first, last] = (status === 200 && range !== null && /^bytes=(\d+)-(\d*)$/.exec(range)) || [];
  const isHead = request.method === "HEAD";
  if (first === undefined) return new Response(isHead ? null : bytes, { status, headers: own });
  const from = Number(first);
  const end = last === undefined || last === "" ? bytes.length : Math.min(Number(last) + 1, bytes.length);
  if (from >= end)
    return new Response(null, { status: 416, headers: { "Content-Range": `bytes */${bytes.length}`, "Cf-Cache-Status": cacheStatus } });
  own.set("Content-Range", `bytes ${from}-${end - 1}/${bytes.length}`);
  own.set("Content-Length", String(end - from));
  return new Response(isHead ? null : bytes.slice(from, end), { status: 206, headers: own });
}

function marked(response: Response, cacheStatus: string): Response {
  const headers = new Headers(response.headers);
  headers.set("Cf-Cache-Status", cacheStatus);
  return new Response(response.body, { status: response.status, headers });
}
