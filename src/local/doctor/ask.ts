import { request as requestHttp, type IncomingHttpHeaders } from "node:http";
import { request as requestHttps } from "node:https";

/** An answer as it came: `ask` follows no redirect, decodes no encoding and does not retry. */
export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The first `MAX_BYTES` of the body. */
  readonly body: Buffer;
  /** Whether the whole body arrived, by its framing. */
  readonly isComplete: boolean;
}

/** A request; by default a GET without headers of its own. */
export interface Question {
  readonly method?: "GET" | "HEAD";
  readonly headers?: Readonly<Record<string, string>>;
}

/** Sends one request on a new connection. Rejects with an Error that says why there was no answer. */
export type Ask = (url: URL, question?: Question) => Promise<Reply>;

/** Of a larger file the doctor reads only the beginning. */
export const MAX_BYTES = 32 * 1024 * 1024;
const TIMEOUT_MS = 60_000;

/** `Ask` over the network. */
export const ask: Ask = (url, { method = "GET", headers = {} } = {}) =>
  new Promise((resolve, reject) => {
    const send = url.protocol === "https:" ? requestHttps : requestHttp;
    const request = send(url.href, { method, headers, agent: false, timeout: TIMEOUT_MS }, (response) => {
      const parts: Buffer[] = [];
      let length = 0;
      const settle = (isComplete: boolean): void =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts), isComplete });
      response.on("data", (part: Buffer) => {
        parts.push(part);
        length += part.length;
        if (length < MAX_BYTES) return;
        settle(false);
        request.destroy();
      });
      response.on("end", () => settle(response.complete));
      response.on("error", () => settle(false));
    });
    request.on("timeout", () => request.destroy(new Error(`no answer for ${TIMEOUT_MS / 1000} s`)));
    request.on("error", reject);
    request.end();
  });
