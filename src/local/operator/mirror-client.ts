import { request } from "node:http";
import { request as requestSecure } from "node:https";
import type { WarmTarget } from "./warm-list.ts";

/** A running mirror, as the operator's commands use it. */
export interface MirrorClient {
  /** Calls one of the operator's verbs below `/-/ledger` (docs/ledger.md). Throws an Error with the server's explanation unless it answers 2xx. */
  verb(method: "GET" | "POST" | "DELETE", path: string, body?: object): Promise<Record<string, unknown>>;
  /** All rows of a paged verb: `ask` fetches the page that follows `after` ("": the first). */
  rows(ask: (after: string) => Promise<Record<string, unknown>>): AsyncGenerator<Record<string, unknown>>;
  /** Reads a file of the mirror; null if the answer is an error. */
  read(path: string): Promise<Uint8Array | null>;
  /** Downloads a file and discards the bytes. Never rejects. */
  warm(target: WarmTarget): Promise<Warmed>;
}

/** What came of one download. */
export interface Warmed {
  /** HTTP status; 0 if the connection broke. */
  readonly status: number;
  /** Bytes of the body that arrived. */
  readonly bytes: number;
  /** The server's Cache-Status, or the connection's error. */
  readonly detail: string;
}

/** `server` is the mirror's URL. Only `verb` calls `token`, so that `warm` works without one. */
export function createMirrorClient(server: string, token: () => string): MirrorClient {
  return {
    async verb(method, path, body) {
      const url = `${server.replace(/\/+$/, "")}/-/ledger${path}`;
      const response = await fetch(url, {
        method,
        headers: { authorization: `Bearer ${token()}` },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }).catch((error: { readonly cause?: { readonly message: string } }) => {
        throw new Error(`Cannot reach ${server}: ${error.cause?.message ?? "no answer"}; start the mirror or name it with --server`);
      });
      const text = await response.text();
      if (response.ok) return JSON.parse(text) as Record<string, unknown>;
      throw new Error(`${method} ${url}: ${response.status} ${explain(text)}`);
    },
    async *rows(ask) {
      for (let after: unknown = ""; typeof after === "string";) {
        // oxlint-disable-next-line no-await-in-loop -- page after page
        const page = await ask(after);
        yield* page["rows"] as readonly Record<string, unknown>[];
        after = page["after"];
      }
    },
    async read(path) {
      const response = await fetch(`${server.replace(/\/+$/, "")}/${path}`);
      const bytes = new Uint8Array(await response.arrayBuffer());
      return response.ok ? bytes : null;
    },
    warm: (target) => download(server, target),
  };
}

/** `fetch` cannot set the Host header, which picks the mirror: so `node:http`. */
function download(server: string, { path, host }: WarmTarget): Promise<Warmed> {
  return new Promise((resolve) => {
    const url = new URL(server);
    const send = url.protocol === "https:" ? requestSecure : request;
    const options = { host: url.hostname.replace(/^\[|\]$/g, ""), port: url.port, path: escape(path), headers: { host: host ?? url.host } };
    let bytes = 0;
    const sent = send(options, (response) => {
      response.on("data", (chunk: Buffer) => (bytes += chunk.length));
      response.on("error", (error) => resolve({ status: 0, bytes, detail: error.message }));
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, bytes, detail: String(response.headers["cache-status"] ?? "") }),
      );
    });
    sent.on("error", (error) => resolve({ status: 0, bytes, detail: error.message }));
    sent.end();
  });
}

function explain(text: string): string {
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
