import type { IncomingHttpHeaders } from "node:http";
import { sendRequest } from "../send-request.ts";

/** An answer as it came. */
export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The first `maxBytes` of the body. */
  readonly body: Buffer;
  /** Whether the whole body arrived, by its framing. */
  readonly isComplete: boolean;
}

/** A request; by default a GET without headers of its own. */
export interface Question {
  readonly method?: "GET" | "HEAD";
  readonly headers?: Readonly<Record<string, string>>;
  /** Where the reading ends, and with it the connection; default: `MAX_BYTES`. */
  readonly maxBytes?: number;
  /** Ends the request; the promise rejects with its reason, or the body ends early. */
  readonly signal?: AbortSignal;
}

/** Sends one request on a new connection, and follows no redirect. Rejects with an Error that says why there was no answer. */
export type Ask = (url: URL, question?: Question) => Promise<Reply>;

/** Of a larger file the doctor reads only the beginning. */
export const MAX_BYTES = 4 * 1024 * 1024;
/** Silence of a connection. */
const SILENCE_MS = 30_000;
/** A whole request: `MAX_BYTES` over a line of 1 Mbit/s. */
const REQUEST_MS = 60_000;

/** `Ask` over the network. */
export const askNetwork: Ask = async (url, { method = "GET", headers = {}, maxBytes = MAX_BYTES, signal } = {}) => {
  const limit = AbortSignal.timeout(REQUEST_MS);
  const ending = signal === undefined ? limit : AbortSignal.any([signal, limit]);
  const response = await sendRequest(url, { method, headers, agent: false, timeout: SILENCE_MS, signal: ending }).catch((error: Error) => {
    throw limit.aborted ? new Error(`no answer for ${REQUEST_MS / 1000} s`) : error;
  });
  const parts: Buffer[] = [];
  let length = 0;
  let isCutByUs = false;
  try {
    for await (const part of response as AsyncIterable<Buffer>) {
      parts.push(part);
      length += part.length;
      isCutByUs = length > maxBytes;
      if (isCutByUs) break;
    }
  } catch {
    // The connection broke, or the time was over: `response.complete` is false.
  }
  const body = Buffer.concat(parts).subarray(0, maxBytes);
  return { status: response.statusCode ?? 0, headers: response.headers, body, isComplete: response.complete && !isCutByUs };
};

/** What all requests of one run of the doctor may take. */
export interface Allowance {
  /** Bytes of all bodies. */
  readonly bytes: number;
  /** Milliseconds. */
  readonly ms: number;
}

/** Requests with a common limit. */
export interface LimitedAsk {
  /** Rejects, with an Error that says so, once the limit is reached. */
  readonly ask: Ask;
  readonly isOver: () => boolean;
}

/** `plain`, until all of its requests have used up `allowance`. */
export function limitAsk(plain: Ask, allowance: Allowance): LimitedAsk {
  const signal = AbortSignal.timeout(allowance.ms);
  let left = allowance.bytes;
  const isOver = (): boolean => signal.aborted || left <= 0;
  async function ask(url: URL, question: Question = {}): Promise<Reply> {
    if (isOver()) throw new Error("not asked: the doctor's time or bytes are used up");
    const reply = await plain(url, { ...question, maxBytes: Math.min(question.maxBytes ?? MAX_BYTES, left), signal });
    left -= reply.body.length;
    return reply;
  }
  return { ask, isOver };
}
