import type { IncomingHttpHeaders } from "node:http";
import { sendRequest } from "../send-request.ts";

/** An answer as it came. */
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
export const ask: Ask = async (url, { method = "GET", headers = {} } = {}) => {
  const response = await sendRequest(url, { method, headers, agent: false, timeout: TIMEOUT_MS });
  const parts: Buffer[] = [];
  let length = 0;
  try {
    for await (const part of response as AsyncIterable<Buffer>) {
      parts.push(part);
      length += part.length;
      if (length >= MAX_BYTES) break;
    }
  } catch {
    // The connection broke: `response.complete` is false.
  }
  const isComplete = response.complete && length < MAX_BYTES;
  return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts), isComplete };
};
