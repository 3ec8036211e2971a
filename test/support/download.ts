import { createHash } from "node:crypto";
import { request } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";

/** What came of one request. */
export interface Download {
  /** 0: the connection ended before an answer. */
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Body bytes that arrived. */
  readonly length: number;
  /** Hex SHA-256 of them. */
  readonly sha256: string;
  /** Whether the message ended as its framing promises; a client that stops reading has not seen that. */
  readonly isWhole: boolean;
  /** The bytes, where they were to be kept. */
  readonly bytes: Buffer;
}

export interface DownloadOptions {
  readonly method?: "GET" | "HEAD";
  readonly headers?: Readonly<Record<string, string>>;
  /** Leaves after so many bytes of the body. */
  readonly stopAt?: number;
  readonly isKept?: boolean;
  /** Told of each piece and of the bytes so far; what it returns is waited for, with the connection paused. */
  readonly onBytes?: (length: number) => void | Promise<void>;
  readonly onHeaders?: (response: IncomingMessage) => void;
}

/** One request on a connection of its own. Never throws: a broken connection is a download that is not whole. */
export function download(url: string, options: DownloadOptions = {}): Promise<Download> {
  const { method = "GET", headers = {}, stopAt = Infinity, isKept = false, onBytes, onHeaders } = options;
  return new Promise((resolve) => {
    const hash = createHash("sha256");
    const kept: Buffer[] = [];
    let length = 0;
    const end = (response: IncomingMessage | undefined, isWhole: boolean): void =>
      resolve({
        status: response?.statusCode ?? 0,
        headers: response?.headers ?? {},
        length,
        sha256: hash.digest("hex"),
        isWhole,
        bytes: Buffer.concat(kept),
      });
    const sent = request(url, { method, headers, agent: false });
    sent.on("error", () => end(undefined, false));
    sent.on("response", (response) => {
      sent.removeAllListeners("error").on("error", () => {});
      onHeaders?.(response);
      const read = async (): Promise<void> => {
        let isWhole = false;
        try {
          for await (const bytes of response as AsyncIterable<Buffer>) {
            hash.update(bytes);
            if (isKept) kept.push(bytes);
            length += bytes.length;
            if (length >= stopAt) break;
            await onBytes?.(length);
          }
          isWhole = length < stopAt && response.complete;
        } catch {
          // The connection broke.
        }
        sent.destroy();
        end(response, isWhole);
      };
      void read();
    });
    sent.end();
  });
}
