import { type IncomingMessage, request } from "node:http";
import { request as requestSecure, type RequestOptions as SecureOptions } from "node:https";

/**
 * Sends one request, and resolves with the answer once its headers are there; `for await` over its body throws where the connection breaks. Unlike `fetch`
 * it sends the Host that `options` names, follows no redirect and decodes no encoding. Rejects with the reason if there is no answer.
 */
export function sendRequest(url: URL, options: SecureOptions): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sent = (url.protocol === "https:" ? requestSecure : request)(url.href, options, resolve);
    sent.on("timeout", () => sent.destroy(new Error(`no answer for ${(options.timeout ?? 0) / 1000} s`)));
    sent.on("error", (error) => reject(error.message === "" ? new Error(reasonOf(error), { cause: error }) : error));
    sent.end();
  });
}

/** Why there was no answer, in words. An error that Node raises for a host of several addresses has no message of its own, and that of fetch says nothing. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return [...new Set(error.errors.map(reasonOf))].join("; ");
  if (!(error instanceof Error)) return String(error);
  if (error.message === "fetch failed" && error.cause !== undefined) return reasonOf(error.cause);
  return error.message === "" ? ((error as NodeJS.ErrnoException).code ?? error.name) : error.message;
}
