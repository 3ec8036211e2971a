import { reasonOf, sendRequest } from "../send-request.ts";
import type { WarmTarget } from "./warm-list.ts";

/** A running mirror, as the operator's commands use it. */
export type MirrorClient = ReturnType<typeof createMirrorClient>;

/** A server that sends nothing for so long is given up. It answers a large file as it comes. */
const SILENCE_MS = 300_000;

/** `server` is the mirror's URL. Only `verb` calls `token`, so that `warm` of paths works without one. */
export function createMirrorClient(server: URL, token: () => string) {
  const base = server.href.replace(/\/+$/, "");
  return {
    /**
     * Calls one of the operator's verbs below `/-/ledger` (docs/ledger.md). Throws an Error with the reason and what helps unless the mirror answers 2xx
     * with JSON.
     */
    async verb(method: "GET" | "POST" | "DELETE", path: string, body?: object): Promise<Record<string, unknown>> {
      const url = `${base}/-/ledger${path}`;
      const response = await fetch(url, {
        method,
        headers: { authorization: `Bearer ${token()}` },
        signal: AbortSignal.timeout(SILENCE_MS),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }).catch((error: unknown) => {
        throw new Error(`Cannot reach ${base}: ${reasonOf(error)}; start the mirror, or name it with --server`);
      });
      const type = response.headers.get("content-type") ?? "";
      const text = await response.text();
      const answer = /\bjson\b/.test(type) ? parse(text) : null;
      if (response.ok && answer !== null) return answer;
      throw new Error(explain({ base, status: response.status, type, text, error: answer?.["error"] }));
    },
    /** The names of the server's mirrors. */
    async mirrors(): Promise<readonly string[]> {
      const { shards } = (await this.verb("GET", "/")) as { readonly shards?: readonly { readonly shard: string }[] };
      return (shards ?? []).flatMap(({ shard }) => (shard === "-" ? [] : [shard]));
    },
    /** All rows of a paged verb: `ask` fetches the page that follows `after` ("": the first). */
    async *rows(ask: (after: string) => Promise<Record<string, unknown>>): AsyncGenerator<Record<string, unknown>> {
      for (let after: unknown = ""; typeof after === "string";) {
        const page = await ask(after);
        yield* page["rows"] as readonly Record<string, unknown>[];
        after = page["after"];
      }
    },
    /** Reads a file of the mirror; null if the answer is an error. Throws an Error with what helps if there is no answer. */
    async read(path: string): Promise<Uint8Array | null> {
      try {
        const response = await fetch(`${base}/${path}`, { signal: AbortSignal.timeout(SILENCE_MS) });
        const bytes = new Uint8Array(await response.arrayBuffer());
        return response.ok ? bytes : null;
      } catch (error) {
        throw new Error(`Cannot read ${base}/${path}: ${reasonOf(error)}; start the mirror, or name it with --server`, { cause: error });
      }
    },
    /**
     * Downloads a file and discards the bytes: `bytes` arrived, and `detail` is the server's Cache-Status. If the connection breaks, `status` is 0 and
     * `detail` says why. `onBytes` receives, after each piece, how many bytes have arrived, and how many the file has (null: the server did not say).
     */
    async warm({ path, host }: WarmTarget, onBytes: (bytes: number, size: number | null) => void): Promise<Warmed> {
      let bytes = 0;
      try {
        // The Host picks the mirror.
        const options = { path: escape(`${new URL(base).pathname.replace(/\/+$/, "")}${path}`), headers: { host: host ?? server.host } };
        const response = await sendRequest(new URL(base), { ...options, timeout: SILENCE_MS });
        const status = response.statusCode ?? 0;
        const length = Number(response.headers["content-length"] ?? Number.NaN);
        const isSized = status === 200 && Number.isSafeInteger(length);
        for await (const chunk of response as AsyncIterable<Buffer>) {
          bytes += chunk.length;
          onBytes(bytes, isSized ? length : null);
        }
        return { status, bytes, detail: String(response.headers["cache-status"] ?? "") };
      } catch (error) {
        return { status: 0, bytes, detail: reasonOf(error) };
      }
    },
  };
}

/** How the download of one file ended; `status` 0: it broke off. */
export interface Warmed {
  readonly status: number;
  readonly bytes: number;
  readonly detail: string;
}

interface Refusal {
  readonly base: string;
  readonly status: number;
  readonly type: string;
  readonly text: string;
  /** What the JSON of the answer says, if it is JSON. */
  readonly error: unknown;
}

/** One sentence: what the server answered, and what helps. */
function explain({ base, status, type, text, error }: Refusal): string {
  const said = typeof error === "string" ? error : null;
  if (said === null && (status < 400 || status === 401 || /\bhtml\b/.test(type)))
    return `Cannot use ${base}: it answered ${status} with ${type === "" ? "no type" : type.split(";", 1)[0]}, which is no Lazy Mirror's answer; name the mirror itself with --server`;
  if (status === 401)
    return `Cannot log in at ${base}: it has another token; name its state folder with --state, or its admin token with --token or $ADMIN_TOKEN`;
  if (status === 404 && said === "There is no such page")
    return `Cannot use ${base}: it has no admin token; set one (docs/configuration.md)`;
  const line = said ?? text.trim().split("\n", 1)[0]?.slice(0, 200) ?? "";
  if (said === null && status === 404)
    return `Cannot use ${base}: it answered 404 (${line}); name the mirror itself with --server, and run the same version as it`;
  return `${base} answered ${status}: ${line}`;
}

function parse(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

/** Percent-encodes characters that a request target must not have (a list may hold plain file names); keeps what is encoded already. */
function escape(path: string): string {
  return path.replace(/[^\x21-\x7e]+/gu, encodeURIComponent);
}
