import { open } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import type { Fault, Framing } from "./origin-fault.ts";
import { resolvePosition } from "./origin-fault.ts";

const CHUNK_BYTES = 65_536;
const PACES_PER_SECOND = 20;

/** A body's bytes: of a file, or made up. */
export type Body = { readonly file: string; readonly size: number } | { readonly bytes: Buffer };

/** A response as it will be sent: what a healthy origin says, bent by faults. */
export interface Plan {
  status: number;
  headers: Record<string, string>;
  body: Body;
  /** The part of the body to send, `end` exclusive. */
  start: number;
  end: number;
  framing: Framing;
  /** Added to the Content-Length that is told. */
  lengthError: number;
  stop: { readonly after: number; readonly how: "cut" | "reset" | "stall" } | undefined;
  flipAt: number | undefined;
  bytesPerSecond: number | undefined;
}

/** What the answer to one request came to. */
export interface Sent {
  bytes: number;
}

/** The plan that answers with `text`. */
export function planText(status: number, contentType: string, text: string, encoding: BufferEncoding = "utf8"): Plan {
  const bytes = Buffer.from(text, encoding);
  return {
    status,
    headers: { "content-type": contentType },
    body: { bytes },
    start: 0,
    end: bytes.length,
    framing: "length",
    lengthError: 0,
    stop: undefined,
    flipAt: undefined,
    bytesPerSecond: undefined,
  };
}

/** The number of bytes in the whole body. */
function bodySize(body: Body): number {
  return "bytes" in body ? body.bytes.length : body.size;
}

/** Bends `plan` by `fault`. `whole` plans the answer to the same request without its Range. */
export async function applyFault(plan: Plan, fault: Fault, path: string, whole: () => Plan): Promise<Plan> {
  const length = plan.end - plan.start;
  switch (fault.kind) {
    case "cut":
      return {
        ...plan,
        framing: fault.framing ?? plan.framing,
        stop: { after: resolvePosition(fault.at, length), how: "cut" },
      };
    case "reset":
      return { ...plan, stop: { after: resolvePosition(fault.at, length), how: "reset" } };
    case "stall":
      return { ...plan, stop: { after: resolvePosition(fault.at, length), how: "stall" } };
    case "short":
      return { ...plan, end: plan.start + resolvePosition(fault.at, length) };
    case "flip":
      return { ...plan, flipAt: resolvePosition(fault.at, bodySize(plan.body)) };
    case "lying-length":
      return { ...plan, lengthError: fault.by };
    case "framing":
      return { ...plan, framing: fault.framing };
    case "status": {
      const error = planText(fault.status, "text/plain", fault.body ?? `the origin answers ${fault.status}\n`, fault.encoding);
      return { ...error, headers: { ...error.headers, ...fault.headers } };
    }
    case "html":
      return planText(200, "text/html", "<!DOCTYPE html><html><body>Something went wrong. Please log in.</body></html>\n");
    case "gzip": {
      const all = whole();
      const bytes = gzipSync(await readWhole(all.body));
      return {
        ...all,
        headers: { ...all.headers, "content-encoding": "gzip" },
        body: { bytes },
        start: 0,
        end: bytes.length,
      };
    }
    case "drip":
      return { ...plan, bytesPerSecond: fault.bytesPerSecond };
    case "redirect": {
      const page = planText(fault.status ?? 302, "text/html", "<html>It is elsewhere.</html>\n");
      return { ...page, headers: { ...page.headers, location: fault.to ?? encodeURI(path) } };
    }
    case "ignore-range":
      return whole();
    case "wrong-range":
      return plan.status === 206 ? bendRange(plan, fault.how) : plan;
    case "no-validators": {
      const { etag: _etag, "last-modified": _date, ...headers } = plan.headers;
      return { ...plan, headers };
    }
    case "not-modified":
      return { ...plan, status: 304, end: plan.start };
    case "huge-headers":
      return { ...plan, headers: { ...plan.headers, ...hugeHeaders(fault.bytes ?? 262_144) } };
    case "headers":
      return { ...plan, headers: { ...plan.headers, ...fault.headers } };
    case "black-hole":
    case "garbage":
      return plan;
  }
}

function bendRange(plan: Plan, how: "start" | "no-content-range" | "total"): Plan {
  const { "content-range": _range, ...headers } = plan.headers;
  const size = bodySize(plan.body);
  switch (how) {
    case "no-content-range":
      return { ...plan, headers };
    case "start": {
      const start = Math.min(plan.start + 1, plan.end - 1);
      return {
        ...plan,
        start,
        headers: { ...headers, "content-range": `bytes ${start}-${plan.end - 1}/${size}` },
      };
    }
    case "total":
      return {
        ...plan,
        headers: { ...headers, "content-range": `bytes ${plan.start}-${plan.end - 1}/${size + 1}` },
      };
  }
}

function hugeHeaders(bytes: number): Record<string, string> {
  const lines = Math.ceil(bytes / 4096);
  return Object.fromEntries(Array.from({ length: lines }, (_, index) => [`x-huge-${index}`, "h".repeat(4080)]));
}

async function readWhole(body: Body): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of readBody(body, 0, bodySize(body), CHUNK_BYTES)) parts.push(part);
  return Buffer.concat(parts);
}

async function* readBody(body: Body, start: number, end: number, step: number): AsyncGenerator<Buffer> {
  if ("bytes" in body) {
    for (let at = start; at < end; at += step) yield Buffer.from(body.bytes.subarray(at, Math.min(end, at + step)));
    return;
  }
  const handle = await open(body.file);
  try {
    for (let at = start; at < end;) {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(Math.min(step, end - at)), 0, null, at);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
      at += bytesRead;
    }
  } finally {
    await handle.close();
  }
}

/** Sends `plan`, counting into `sent`. `released` ends a stall. Returns early, quietly, when the client leaves. */
export async function send(
  plan: Plan,
  request: IncomingMessage,
  response: ServerResponse,
  sent: Sent,
  released: Promise<void>,
): Promise<void> {
  const bodyless = request.method === "HEAD" || plan.status === 304 || plan.status === 204;
  const length = plan.end - plan.start + plan.lengthError;
  if (plan.framing === "close") response.removeHeader("transfer-encoding");
  // A 304 without Content-Length is as good as one with it; node would add chunked framing to a HEAD.
  response.writeHead(
    plan.status,
    plan.framing === "length" && plan.status !== 304 ? { ...plan.headers, "content-length": String(length) } : plan.headers,
  );
  if (bodyless) {
    response.end();
    return;
  }
  response.flushHeaders();
  const gone = new Promise<void>((resolve) => response.once("close", resolve));
  const step = plan.bytesPerSecond === undefined ? CHUNK_BYTES : Math.max(1, Math.floor(plan.bytesPerSecond / PACES_PER_SECOND));
  const halt = plan.stop === undefined ? plan.end : plan.start + plan.stop.after;
  if (!(await sendPart(plan, halt, plan.start))) return;
  if (plan.stop?.how === "stall") {
    await Promise.race([released, gone]);
    if (!(await sendPart(plan, plan.end, halt))) return;
  } else if (plan.stop !== undefined) {
    // The bytes before it must arrive: a reset throws away what is still queued here.
    if (plan.stop.how === "reset") setTimeout(() => request.socket.resetAndDestroy(), 50);
    else request.socket.end();
    return;
  }
  // A Content-Length beyond the body is only noticed when the connection ends.
  if (plan.lengthError > 0) request.socket.end();
  else response.end();

  async function sendPart(part: Plan, end: number, start: number): Promise<boolean> {
    let offset = start;
    for await (const bytes of readBody(part.body, start, end, step)) {
      if (response.destroyed || request.socket.destroyed) return false;
      const flip = part.flipAt === undefined ? -1 : part.flipAt - offset;
      if (flip >= 0 && flip < bytes.length) bytes[flip] = (bytes[flip] ?? 0) ^ 0x20;
      offset += bytes.length;
      sent.bytes += bytes.length;
      if (!response.write(bytes)) await Promise.race([new Promise<void>((resolve) => response.once("drain", resolve)), gone]);
      if (part.bytesPerSecond !== undefined) await Promise.race([sleep((1000 * bytes.length) / part.bytesPerSecond), gone]);
    }
    return !response.destroyed;
  }
}
