import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, request as httpRequest, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";

/** What a proxy in front of a mirror does wrong. */
export type Meddling =
  | "redirects http to https"
  | "compresses text"
  | "drops Range"
  | "challenges apt"
  | "caches roots"
  | "strips ETag"
  | "cuts bodies"
  | "claims a hit of its own cache"
  | "answers for absent files"
  | "lets everybody see the operator's pages";

/** A proxy in front of a mirror, which it reaches under its own name and port. */
export interface MeddlingProxy {
  /** `http://127.0.0.1:port`. */
  readonly url: string;
  /** Undefined: it passes everything on as it is. */
  meddling: Meddling | undefined;
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

const PAGE: Answer = { status: 200, headers: { "content-type": "text/html" }, body: Buffer.from("<html>Are you a person?</html>\n") };

/** Starts a proxy to the mirror at `port` of 127.0.0.1; `token` is the operator's. */
export async function startMeddlingProxy(port: number, token: string): Promise<MeddlingProxy> {
  const kept = new Map<string, { readonly answer: Answer; readonly since: number }>();
  const server = createServer((request, response) => void handle(request, response));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const proxy: MeddlingProxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    meddling: undefined,
    async close() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
  return proxy;

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on("error", () => response.destroy());
    try {
      const { status, headers, body } = await answerTo(request);
      response.writeHead(status, headers);
      if (request.method === "HEAD") response.end();
      else if (proxy.meddling === "cuts bodies" && body.length > 1000 && status === 200)
        response.write(body.subarray(0, body.length / 2), () => response.destroy());
      else response.end(body);
    } catch {
      response.destroy();
    }
  }

  async function answerTo(request: IncomingMessage): Promise<Answer> {
    const path = request.url ?? "/";
    const { headers } = request;
    switch (proxy.meddling) {
      case "redirects http to https":
        return { status: 301, headers: { location: `https://${headers.host}${path}` }, body: Buffer.alloc(0) };
      case "challenges apt":
        return headers["user-agent"]?.includes("APT-HTTP") === true
          ? { ...PAGE, status: 403, headers: { ...PAGE.headers, "cf-mitigated": "challenge" } }
          : fetchOn(request);
      case "drops Range":
        return fetchOn(request, { range: undefined });
      case "lets everybody see the operator's pages":
        return fetchOn(request, path.startsWith("/-/") ? { authorization: `Bearer ${token}` } : {});
      case "caches roots":
        return path.endsWith("/InRelease") ? fromCache(request, path) : fetchOn(request);
      default:
        return bend(path, await fetchOn(request), headers["accept-encoding"] ?? "");
    }
  }

  function bend(path: string, answer: Answer, accepted: string): Answer {
    const { "content-length": length, etag, ...rest } = answer.headers;
    const isText = /(?:InRelease|\.xml)$/.test(path);
    switch (proxy.meddling) {
      case "compresses text":
        return isText && accepted.includes("gzip") && answer.status === 200
          ? { ...answer, headers: { ...rest, etag: `W/${etag}`, "content-encoding": "gzip" }, body: gzipSync(answer.body) }
          : answer;
      case "strips ETag":
        return { ...answer, headers: { ...rest, "content-length": length } };
      case "claims a hit of its own cache":
        return { ...answer, headers: { ...answer.headers, server: "cloudflare", "cf-ray": "9a1-FRA", "cf-cache-status": "HIT" } };
      case "answers for absent files":
        return answer.status === 404 ? PAGE : answer;
      default:
        return answer;
    }
  }

  /** The first answer, again and again, as old as if the proxy had kept it for an hour. */
  async function fromCache(request: IncomingMessage, path: string): Promise<Answer> {
    const held = kept.get(path) ?? { answer: await fetchOn(request), since: Date.now() - 3_600_000 };
    kept.set(path, held);
    const age = Number(held.answer.headers.age ?? 0) + Math.floor((Date.now() - held.since) / 1000);
    return { ...held.answer, headers: { ...held.answer.headers, age: String(age) } };
  }

  function fetchOn(request: IncomingMessage, change: IncomingHttpHeaders = {}): Promise<Answer> {
    const { method, url: path, headers } = request;
    const sent = Object.fromEntries(
      Object.entries({ ...headers, ...change, connection: "close" }).filter(([, value]) => value !== undefined),
    );
    return new Promise((resolve, reject) => {
      const onward = httpRequest({ host: "127.0.0.1", port, path, method, headers: sent }, (answer) => {
        const parts: Buffer[] = [];
        answer.on("data", (part: Buffer) => parts.push(part));
        answer.on("error", reject);
        answer.on("end", () => resolve({ status: answer.statusCode ?? 502, headers: answer.headers, body: Buffer.concat(parts) }));
      });
      onward.on("error", reject);
      onward.end();
    });
  }
}
