import { sendRequest } from "../send-request.ts";
import type { WarmTarget } from "./warm-list.ts";

/** A running mirror, as the operator's commands use it. */
export type MirrorClient = ReturnType<typeof createMirrorClient>;

/** `server` is the mirror's URL. Only `verb` calls `token`, so that `warm` works without one. */
export function createMirrorClient(server: string, token: () => string) {
  const base = server.replace(/\/+$/, "");
  return {
    /** Calls one of the operator's verbs below `/-/ledger` (docs/ledger.md). Throws an Error with the server's explanation unless it answers 2xx. */
    async verb(method: "GET" | "POST" | "DELETE", path: string, body?: object): Promise<Record<string, unknown>> {
      const url = `${base}/-/ledger${path}`;
      const response = await fetch(url, {
        method,
        headers: { authorization: `Bearer ${token()}` },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }).catch((error: { readonly cause?: { readonly message: string } }) => {
        throw new Error(`Cannot reach ${server}: ${error.cause?.message ?? "no answer"}; start the mirror or name it with --server`);
      });
      const text = await response.text();
      if (response.ok) return JSON.parse(text) as Record<string, unknown>;
      throw new Error(`${method} ${url}: ${response.status} ${explanationIn(text)}`);
    },
    /** All rows of a paged verb: `ask` fetches the page that follows `after` ("": the first). */
    async *rows(ask: (after: string) => Promise<Record<string, unknown>>): AsyncGenerator<Record<string, unknown>> {
      for (let after: unknown = ""; typeof after === "string";) {
        const page = await ask(after);
        yield* page["rows"] as readonly Record<string, unknown>[];
        after = page["after"];
      }
    },
    /** Reads a file of the mirror; null if the answer is an error. */
    async read(path: string): Promise<Uint8Array | null> {
      const response = await fetch(`${base}/${path}`);
      const bytes = new Uint8Array(await response.arrayBuffer());
      return response.ok ? bytes : null;
    },
    /**
     * Downloads a file and discards the bytes: `bytes` arrived, and `detail` is the server's Cache-Status. If the connection breaks, `status` is 0 and
     * `detail` says why.
     */
    async warm({ path, host }: WarmTarget): Promise<{ readonly status: number; readonly bytes: number; readonly detail: string }> {
      const url = new URL(server);
      let bytes = 0;
      try {
        // The Host picks the mirror.
        const response = await sendRequest(url, { path: escape(path), headers: { host: host ?? url.host } });
        for await (const chunk of response as AsyncIterable<Buffer>) bytes += chunk.length;
        return { status: response.statusCode ?? 0, bytes, detail: String(response.headers["cache-status"] ?? "") };
      } catch (error) {
        return { status: 0, bytes, detail: (error as Error).message };
      }
    },
  };
}

function explanationIn(text: string): string {
  try {
    return (JSON.parse(text) as { error?: string }).error ?? text;
  } catch {
    return text.slice(0, 200);
  }
}

/** Percent-encodes characters that a request target must not have (a list may hold plain file names); keeps what is encoded already. */
function escape(path: string): string {
  return path.replace(/[^\x21-\x7e]+/gu, encodeURIComponent);
}
