import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync, readdirSync, statSync } from "node:fs";
import { createServer } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { join, normalize } from "node:path";
import type { Fault } from "./origin-fault.ts";
import type { Body, Plan } from "./origin-response.ts";
import { applyFault, planText, send } from "./origin-response.ts";

/** One request as the origin saw it. `status`, `bytes` and `aborted` are final once `finished`. */
export interface OriginRequest {
  readonly method: string;
  /** Decoded, without query. */
  readonly path: string;
  /** The request target as sent. */
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  /** Undefined while nothing was answered. */
  status: number | undefined;
  /** Body bytes handed to the connection. */
  bytes: number;
  /** The connection ended before the response did, by the client's doing or a fault's. */
  aborted: boolean;
  finished: boolean;
}

/** A fault that is on. */
export interface ActiveFault {
  /** Requests it was applied to. */
  readonly hits: number;
  /** Ends it; what it holds back (stall, black hole) goes on. */
  clear(): void;
}

/** A path, decoded, with its leading slash; or a pattern over it. */
export type PathMatch = string | RegExp;

/**
 * A loopback web server over a folder, which can be told to fail.
 * Serves Last-Modified, ETag, Range, If-Range, conditions, HEAD and listings as ordinary mirror servers do.
 */
export interface Origin {
  /** `http://127.0.0.1:port`, the same over restarts. */
  readonly url: string;
  readonly folder: string;
  /** Every request so far, oldest first; `log.length = 0` forgets them. */
  readonly log: OriginRequest[];
  /** `date-size` is what Apache and nginx send: a change of equal size and date keeps it. `weak` is that, marked weak; `changing`: another one in each answer. */
  etag: "date-size" | "digest" | "none" | "weak" | "changing";
  /** What is not there is answered with this status: object stores without the right to list say 403. */
  absentStatus: number;
  /** Of each response; undefined: no limit. */
  bytesPerSecond: number | undefined;
  /** Applies `fault` to the next `times` requests (default: until cleared) that match. The newest matching fault wins. */
  fault(match: PathMatch, fault: Fault, options?: FaultOptions): ActiveFault;
  clearFaults(): void;
  /** Requests for what matches. */
  requests(match: PathMatch): OriginRequest[];
  /** Resolves with the `count`th request (default: the first) that matches, past or to come, as soon as it arrived or has `finished`. */
  waitForRequest(match: PathMatch, options?: { readonly count?: number; readonly finished?: boolean }): Promise<OriginRequest>;
  /** Resolves when no request is under way. */
  idle(): Promise<void>;
  /** Ends all connections and refuses new ones. */
  close(): Promise<void>;
  /** Listens again, on the same port. */
  restart(): Promise<void>;
}

export interface FaultOptions {
  readonly times?: number;
  /** Only requests with this method; default: GET and HEAD. */
  readonly method?: "GET" | "HEAD";
}

interface FaultState extends ActiveFault {
  readonly match: PathMatch;
  readonly fault: Fault;
  readonly method: string | undefined;
  left: number;
  hits: number;
  readonly released: Promise<void>;
}

/** Starts an origin over `folder`; `ip` may be any loopback address. Without `wantedPort` it gets a free port. */
export async function startOrigin(folder: string, ip = "127.0.0.1", wantedPort = 0): Promise<Origin> {
  const log: OriginRequest[] = [];
  const sockets = new Set<Socket>();
  const listeners = new Set<() => void>();
  let faults: FaultState[] = [];
  let server: Server;
  let port = wantedPort;

  const changed = (): void => {
    for (const listener of listeners) listener();
  };
  async function until<T>(look: () => T | undefined): Promise<T> {
    const now = look();
    if (now !== undefined) return now;
    return new Promise((resolve) => {
      const listener = (): void => {
        const found = look();
        if (found === undefined) return;
        listeners.delete(listener);
        resolve(found);
      };
      listeners.add(listener);
    });
  }
  async function listen(): Promise<void> {
    server = createServer((request, response) => void answer(request, response));
    server.on("connection", (socket) => {
      sockets.add(socket);
      socket.on("error", () => socket.destroy());
      socket.once("close", () => sockets.delete(socket));
    });
    server.listen(port, ip);
    await once(server, "listening");
    port = (server.address() as AddressInfo).port;
  }
  function takeFault(path: string, method: string): FaultState | undefined {
    const state = faults.findLast((one) => one.left > 0 && matches(one.match, path) && (one.method ?? method) === method);
    if (state !== undefined) {
      state.left -= 1;
      state.hits += 1;
    }
    return state;
  }
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const target = request.url ?? "/";
    const path = decodePath(target);
    const method = request.method ?? "GET";
    const entry: OriginRequest = {
      method,
      path,
      target,
      headers: request.headers,
      status: undefined,
      bytes: 0,
      aborted: false,
      finished: false,
    };
    log.push(entry);
    const done = once(response, "close").then(() => {
      entry.aborted = !response.writableFinished;
      entry.finished = true;
      changed();
    });
    response.on("error", () => {});
    const state = takeFault(path, method);
    changed();
    const released = state?.released ?? Promise.resolve();
    if (state?.fault.kind === "black-hole") await Promise.race([released, done]);
    if (state?.fault.kind === "garbage") {
      // A pipelined request must wait for its turn before it may write to the connection itself.
      if (response.socket === null) await once(response, "socket");
      request.socket.end("\x00\x01NOT HTTP AT ALL\r\n\r\n<<<>>>");
      return;
    }
    if (response.destroyed) return;
    const healthy: Plan = {
      ...planFile(origin, path, request.headers),
      bytesPerSecond: origin.bytesPerSecond,
    };
    const { range: _range, ...unranged } = request.headers;
    const plan = state === undefined ? healthy : await applyFault(healthy, state.fault, path, () => planFile(origin, path, unranged));
    entry.status = plan.status;
    await send(plan, request, response, entry, released);
  }

  const origin: Origin = {
    get url() {
      return `http://${ip}:${port}`;
    },
    folder,
    log,
    etag: "date-size",
    absentStatus: 404,
    bytesPerSecond: undefined,
    fault(match, fault, options = {}) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const state: FaultState = {
        match,
        fault,
        method: options.method,
        left: options.times ?? Infinity,
        hits: 0,
        released: promise,
        clear() {
          faults = faults.filter((one) => one !== state);
          resolve();
        },
      };
      faults.push(state);
      return state;
    },
    clearFaults() {
      for (const state of faults) state.clear();
    },
    requests: (match) => log.filter((one) => matches(match, one.path)),
    waitForRequest: (match, { count = 1, finished = false } = {}) =>
      until(() => log.filter((one) => matches(match, one.path) && (one.finished || !finished))[count - 1]),
    async idle() {
      await until(() => (log.every((one) => one.finished) ? true : undefined));
    },
    async close() {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
    restart: listen,
  };
  await listen();
  return origin;
}

function matches(match: PathMatch, path: string): boolean {
  return typeof match === "string" ? match === path : match.test(path);
}

function decodePath(target: string): string {
  try {
    return decodeURIComponent(target.split("?", 1)[0] ?? "/");
  } catch {
    return target;
  }
}

const CONTENT_TYPES: readonly (readonly [RegExp, string])[] = [
  [/\.rpm$/, "application/x-rpm"],
  [/\.deb$/, "application/vnd.debian.binary-package"],
  [/\.iso$/, "application/x-iso9660-image"],
  [/\.xml$/, "text/xml"],
  [/\.gz$/, "application/gzip"],
  [/\.(txt|asc|key)$/, "text/plain"],
];

/** What a healthy origin answers. */
function planFile(origin: Origin, path: string, headers: IncomingHttpHeaders): Plan {
  const notFound = planText(origin.absentStatus, "text/html", `<html><body>${origin.absentStatus}: not found</body></html>\n`);
  if (path.includes("\0") || normalize(path).startsWith("..")) return notFound;
  const file = join(origin.folder, path);
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) return notFound;
  if (stat.isDirectory()) {
    if (!path.endsWith("/"))
      return {
        ...planText(301, "text/html", "<html>Moved</html>\n"),
        headers: { location: `${encodeURI(path)}/` },
      };
    const names = readdirSync(file, { withFileTypes: true }).map((one) => ({ name: one.name, slash: one.isDirectory() ? "/" : "" }));
    return planText(
      200,
      "text/html",
      `<html><body>${names.map(({ name, slash }) => `<a href="${encodeURIComponent(name)}${slash}">${name}${slash}</a>`).join("\n")}</body></html>\n`,
    );
  }
  // Seconds are all that Last-Modified has.
  const seconds = Math.floor(stat.mtimeMs / 1000);
  const date = new Date(seconds * 1000).toUTCString();
  const etag = makeEtag(origin, file, seconds, stat.size);
  const body: Body = { file, size: stat.size };
  const type = CONTENT_TYPES.find(([pattern]) => pattern.test(path))?.[1] ?? "application/octet-stream";
  const whole: Plan = {
    ...planText(200, type, ""),
    headers: {
      "content-type": type,
      "last-modified": date,
      "accept-ranges": "bytes",
      ...(etag === undefined ? {} : { etag }),
    },
    body,
    start: 0,
    end: stat.size,
  };
  if (isUnchanged(headers, etag, seconds)) return { ...whole, status: 304, end: 0 };
  const condition = headers["if-range"];
  // RFC 9110 §13.1.5: a weak entity tag never matches If-Range.
  const isSame = (condition === etag && origin.etag !== "weak") || condition === date;
  if (headers.range === undefined || (condition !== undefined && !isSame)) return whole;
  return planRange(whole, headers.range, stat.size);
}

function makeEtag({ etag, log }: Origin, file: string, seconds: number, size: number): string | undefined {
  if (etag === "none") return undefined;
  const dateAndSize = `"${seconds.toString(16)}-${size.toString(16)}"`;
  if (etag === "date-size") return dateAndSize;
  if (etag === "weak") return `W/${dateAndSize}`;
  // As a host behind a balancer, each of whose machines makes its own of an inode.
  if (etag === "changing") return `"${log.length}-${size.toString(16)}"`;
  return `"${createHash("sha256").update(readFileSync(file)).digest("hex").slice(0, 32)}"`;
}

function isUnchanged(headers: IncomingHttpHeaders, etag: string | undefined, seconds: number): boolean {
  const tags = headers["if-none-match"];
  if (tags !== undefined) return etag !== undefined && tags.split(/\s*,\s*/).includes(etag);
  const since = headers["if-modified-since"];
  return since !== undefined && Date.parse(since) >= seconds * 1000;
}

/** A single range; several are answered with the whole file, as RFC 9110 §14.2 allows. */
function planRange(whole: Plan, range: string, size: number): Plan {
  const [, first = "", last = ""] = /^bytes=(\d*)-(\d*)$/.exec(range) ?? [];
  if (first === "" && last === "") return whole;
  const start = first === "" ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === "" || last === "" ? size : Math.min(size, Number(last) + 1);
  if (start >= size || end <= start) {
    return {
      ...planText(416, "text/plain", "416\n"),
      headers: { "content-range": `bytes */${size}` },
    };
  }
  return {
    ...whole,
    status: 206,
    start,
    end,
    headers: { ...whole.headers, "content-range": `bytes ${start}-${end - 1}/${size}` },
  };
}
