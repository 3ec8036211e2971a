import { once } from "node:events";
import { createServer, request as httpRequest } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** Stands between a client and a mirror, so that a test knows where in its work the client is. */
export interface Relay {
  /** `http://127.0.0.1:port`. */
  readonly url: string;
  /** Paths that were asked for, oldest first. */
  readonly paths: string[];
  close(): Promise<void>;
}

export interface RelayHooks {
  /** Runs to its end before the request goes on. */
  readonly before?: (path: string) => Promise<void> | void;
  /** Changes a body on its way to the client. */
  readonly change?: (path: string, body: Buffer) => Buffer;
}

/** Relays to the mirror at `port`, under the relay's own name. */
export async function startRelay(port: number, { before, change }: RelayHooks): Promise<Relay> {
  const paths: string[] = [];
  const server = createServer((request, response) => void relay(request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");

  async function relay(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? "/";
    paths.push(path);
    await before?.(path);
    const { method, headers } = request;
    const onward = httpRequest({ host: "127.0.0.1", port, path, method, headers: { ...headers, connection: "close" } }, (answer) => {
      const parts: Buffer[] = [];
      answer.on("data", (part: Buffer) => parts.push(part));
      answer.on("error", () => response.destroy());
      answer.on("end", () => {
        const body = Buffer.concat(parts);
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        response.end(request.method === "GET" ? (change?.(path, body) ?? body) : undefined);
      });
    });
    onward.on("error", () => response.destroy());
    onward.end();
  }

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    paths,
    async close() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
