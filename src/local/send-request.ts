import { type IncomingMessage, request, type RequestOptions } from "node:http";
import { request as requestSecure } from "node:https";

/**
 * Sends one request, and resolves with the answer once its headers are there; `for await` over its body throws where the connection breaks. Unlike `fetch`
 * it sends the Host that `options` names, follows no redirect and decodes no encoding. Rejects with the reason if there is no answer.
 */
export function sendRequest(url: URL, options: RequestOptions): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sent = (url.protocol === "https:" ? requestSecure : request)(url.href, options, resolve);
    sent.on("timeout", () => sent.destroy(new Error(`no answer for ${(options.timeout ?? 0) / 1000} s`)));
    sent.on("error", reject);
    sent.end();
  });
}
