import { once } from "node:events";
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import type { Mirror } from "../../../src/config/config.ts";
import { createUpstreams } from "../../../src/upstream/create-upstreams.ts";
import type { ByteSource, UpstreamAnswer, UpstreamEvent, UpstreamRequest } from "../../../src/upstream/upstream.ts";

export interface Loopback {
  readonly url: string;
  readonly requests: IncomingMessage[];
  close(): void;
}

/** A web server on loopback for the time of one test. */
export async function listen(handler: RequestListener): Promise<Loopback> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    handler(request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const close = (): void => {
    server.close();
    server.closeAllConnections();
  };
  onTestFinished(close);
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests, close };
}

/** An address on which no server listens. */
export async function refusingUrl(): Promise<string> {
  const server = await listen(() => {});
  server.close();
  return server.url;
}

export interface FileOptions {
  readonly etag?: string;
  readonly lastModified?: string;
  /** What the body comes to, by the number of the request (from 0); default: it is sent whole. */
  readonly send?: ((response: ServerResponse, body: Buffer, request: number) => void) | undefined;
}

/** Serves one file as mirrors do, with Range and If-Range, at every path. */
export function serveFile(file: Buffer, options: FileOptions = {}): RequestListener {
  let count = 0;
  return (request, response) => {
    const { etag, lastModified } = options;
    if (etag !== undefined) response.setHeader("etag", etag);
    if (lastModified !== undefined) response.setHeader("last-modified", lastModified);
    const ifRange = request.headers["if-range"];
    const isRange = ifRange === undefined || ifRange === etag;
    const [, first, last] = (isRange && /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "")) || [];
    const from = Number(first ?? 0);
    const to = Math.min(last ? Number(last) + 1 : file.length, file.length);
    if (first !== undefined) response.setHeader("content-range", `bytes ${from}-${to - 1}/${file.length}`);
    response.writeHead(first === undefined ? 200 : 206, { "content-length": to - from });
    const body = file.subarray(from, to);
    const send = options.send ?? ((target: ServerResponse, bytes: Buffer) => void target.end(bytes));
    send(response, body, count++);
  };
}

/** Sends a part of the body and then ends the connection. */
export function cutAfter(share: number): (response: ServerResponse, body: Buffer) => void {
  return (response, body) => {
    response.write(body.subarray(0, Math.floor(body.length * share)), () => response.socket?.end());
  };
}

export function mirrorOf(urls: readonly string[], more: Partial<Mirror> = {}): Mirror {
  const upstreams = urls.map((url) => ({ url, authorization: undefined }));
  return { name: "m", hosts: [], distro: undefined, upstreams, redirectHosts: [], allowedQuery: [], classes: [], ...more };
}

export interface Bench {
  readonly upstreams: ReturnType<typeof createUpstreams>;
  readonly events: UpstreamEvent[];
  readonly clock: { now: number };
  /** Asks for `f.rpm`, a package. */
  open(urls: readonly string[], more?: Partial<UpstreamRequest>): Promise<UpstreamAnswer>;
  /** Lets every limit that is waited for run out, once there is one for which `isDue`. */
  runOut(isDue?: (ms: number) => boolean): Promise<void>;
}

const FIRST_BYTE_MS = 5_000;
export const STALL_MS = 20_000;

/** Upstreams with a clock and timers that stand still until the test moves them. */
export function createBench(
  fetchLike: (url: string, init: RequestInit) => Promise<Response> = fetch,
  headerFor: () => string = () => "1.1 lazy-mirror-00000000",
): Bench {
  const timers = new Map<() => void, number>();
  const events: UpstreamEvent[] = [];
  const clock = { now: Date.parse("2026-01-01T00:00:00Z") };
  const upstreams = createUpstreams({
    config: {
      upstreamFirstByteSeconds: FIRST_BYTE_MS / 1000,
      upstreamStallSeconds: STALL_MS / 1000,
      contactUrl: "https://mirror.example/contact",
    },
    via: { headerFor },
    version: "1.2.3",
    fetch: fetchLike,
    now: () => clock.now,
    random: () => 0.5,
    after(ms, run) {
      timers.set(run, ms);
      return () => timers.delete(run);
    },
    onEvent: (event) => events.push(event),
  });
  return {
    upstreams,
    events,
    clock,
    open: (urls, more = {}) => upstreams.open({ mirror: mirrorOf(urls), path: "f.rpm", query: "", class: "package", ...more }),
    async runOut(isDue = () => true) {
      for (;;) {
        const due = [...timers].filter(([, ms]) => isDue(ms));
        if (due.length > 0) {
          for (const [run] of due) {
            timers.delete(run);
            run();
          }
          return;
        }
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    },
  };
}

export async function readAll(source: ByteSource): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (let chunk = await source.read(); chunk !== null; chunk = await source.read()) pieces.push(Buffer.from(chunk));
  return Buffer.concat(pieces);
}

export function sourceOf(answer: UpstreamAnswer): ByteSource {
  if (answer.kind !== "body") throw new Error(`expected a body, got ${JSON.stringify(answer)}`);
  return answer.source;
}
