import { request, type IncomingMessage, type RequestOptions } from "node:http";
import { request as requestSecure } from "node:https";
import { reasonOf } from "../send-request.ts";

/** A server that neither takes nor sends a byte for so long is given up. */
const SILENCE_MS = 300_000;

/** A stored file, as the server describes it. */
export interface StoredFile {
  readonly size: number;
  readonly contentType: string;
  readonly lastModified?: string;
  readonly sha256?: string;
  readonly verified: string;
}

export type TransferClient = ReturnType<typeof createTransferClient>;

/** Moves stored files to and from a running server, with its admin token (docs/ledger.md). */
export function createTransferClient(server: URL, token: () => string) {
  const base = new URL(server);
  const top = base.pathname.replace(/\/+$/, "");
  const options = (
    method: string,
    query: Readonly<Record<string, string>>,
    headers: Readonly<Record<string, string>> = {},
  ): RequestOptions => ({
    method,
    path: `${top}/-/ledger/stored?${String(new URLSearchParams(query))}`,
    timeout: SILENCE_MS,
    headers: { ...headers, authorization: `Bearer ${token()}` },
  });

  return {
    /** What lies under the key; null: nothing. */
    async describe(key: string): Promise<StoredFile | null> {
      const response = await exchange(base, options("HEAD", { key }), null).response;
      response.resume();
      return describedBy(base, response, key);
    },
    /** The bytes under the key as they flow. Throws an Error where it is not stored, or they end early. */
    async *read(key: string): AsyncGenerator<Uint8Array> {
      const response = await exchange(base, options("GET", { key }), null).response;
      const described = describedBy(base, response, key);
      if (described === null) throw new Error(`Cannot read ${key}: it is not stored any more`);
      let left = described.size;
      for await (const chunk of response as AsyncIterable<Buffer>) {
        left -= chunk.length;
        yield chunk;
      }
      if (left !== 0) throw new Error(`Cannot read ${key}: ${left} of its ${described.size} bytes did not come`);
    },
    /**
     * Sends `size` bytes to be stored under a key. Null: they are stored, or were already; else why not. If `body` throws, nothing is stored, and the call
     * rejects with its error.
     */
    async give(
      query: Readonly<Record<string, string>>,
      {
        size,
        headers,
        body,
      }: { readonly size: number; readonly headers: Readonly<Record<string, string>>; readonly body: AsyncIterable<Uint8Array> },
    ): Promise<string | null> {
      const exchanged = exchange(base, options("PUT", query, { ...headers, "content-length": String(size) }), body);
      const response = await exchanged.response;
      let text = "";
      for await (const chunk of response.setEncoding("utf8") as AsyncIterable<string>) text += chunk;
      // A body of which the server wants no more is let go of.
      await exchanged.sent;
      exchanged.end();
      if (response.statusCode === 200) return null;
      refuseLogin(base, response);
      const error = text.startsWith('{"error":')
        ? (JSON.parse(text) as { readonly error: string }).error
        : `the server answered ${response.statusCode}`;
      return error.replace(/^Cannot store [^:]+: /, "");
    },
  };
}

/** Throws an Error where the server wants another token. */
function refuseLogin({ origin }: URL, { statusCode }: IncomingMessage): void {
  if (statusCode !== 401) return;
  throw new Error(`Cannot log in at ${origin}: it has another token; name its state folder with --state, or its admin token with --token`);
}

function describedBy(base: URL, response: IncomingMessage, key: string): StoredFile | null {
  refuseLogin(base, response);
  const { statusCode, headers } = response;
  if (statusCode === 404) return null;
  const text = headers["stored-object"];
  if (statusCode !== 200 || typeof text !== "string") throw new Error(`Cannot read ${key}: the server answered ${statusCode}`);
  return JSON.parse(text) as StoredFile;
}

interface Exchange {
  readonly response: Promise<IncomingMessage>;
  /** Settles when `body` is no longer read: it is sent, or the answer came before its end. Rejects with what reading it threw. */
  readonly sent: Promise<void>;
  /** Ends the connection. */
  end(): void;
}

/** Sends one request. The answer may come before all of the body is sent: then the rest of it is not. */
function exchange(base: URL, options: RequestOptions, body: AsyncIterable<Uint8Array> | null): Exchange {
  const { promise: response, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  let isAnswered = false;
  /** Wakes the sender, which waits for room. */
  let wake = (): void => {};
  const sending = (base.protocol === "https:" ? requestSecure : request)(base.origin, options, (answer) => {
    isAnswered = true;
    resolve(answer);
    wake();
  });
  sending.on("drain", () => wake());
  sending.on("close", () => wake());
  sending.on("timeout", () => sending.destroy(new Error(`nothing moved for ${SILENCE_MS / 1000} s`)));
  sending.on("error", (error) =>
    reject(new Error(`Cannot reach ${base.origin}: ${reasonOf(error)}; start the mirror, or name it with --server`)),
  );
  if (body === null) sending.end();
  const sent = body === null ? Promise.resolve() : send(body);
  sent.catch((error: unknown) => {
    reject(error);
    sending.destroy();
  });
  return { response, sent, end: () => void sending.destroy() };

  async function send(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const chunk of chunks) {
      if (isAnswered || sending.destroyed) return;
      const { promise: free, resolve: go } = Promise.withResolvers<void>();
      wake = go;
      if (!sending.write(chunk)) await free;
    }
    sending.end();
  }
}
