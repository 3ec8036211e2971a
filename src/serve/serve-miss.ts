import { parseRange } from "../http/byte-ranges.ts";
import { formatCacheStatus } from "../http/cache-status.ts";
import { formatUnsatisfiedRange } from "../http/content-range.ts";
import type { FillEnd } from "../fill/shared/fill.ts";
import type { Reading } from "../fill/reading.ts";
import type { Target } from "../route/target.ts";
import type { Representation, UpstreamAnswer } from "../upstream/upstream.ts";
import { answer, answerHead } from "./answer/answer.ts";
import { deliverFrom, streamBody } from "./answer/body.ts";
import { createCheckedSink } from "./judge/checked-sink.ts";
import { type Client, isLengthBlind } from "./client.ts";
import { passNatively, rangeToPass } from "./pass/pass-natively.ts";
import { refuse, refuseAbsent, refuseFailure } from "./answer/failure.ts";
import type { ServeDependencies } from "./dependencies.ts";
import { answerStored, fillRequest, hasBody, lookUp, streamReading } from "./stored.ts";
import { forget } from "./stored-answer.ts";
import { fillingDeliver } from "./judge/verifying-deliver.ts";

export interface MissOptions {
  /** The answer of a revalidation that found another version. */
  readonly opened?: UpstreamAnswer;
  /** The store has been looked at again just now. */
  readonly looked?: boolean;
}

/** Not in the store: fetched once for all who ask, verified, and answered as it comes. */
export async function serveMiss(
  client: Client,
  target: Target,
  deps: ServeDependencies,
  { opened, looked }: MissOptions = {},
): Promise<Response> {
  if (client.method === "HEAD" && opened === undefined) return serveHead(client, target, deps);
  const span = opened === undefined ? await wantedSpan(client, target, deps) : { first: 0 };
  const fill = await deps.fills.open(
    fillRequest(client, target, deps, { ...span, recheck: looked !== true, ...(opened === undefined ? {} : { opened }) }),
  );
  return fill.kind === "reading" ? answerReading(client, target, fill.reading, deps) : answerEnd(client, target, fill, deps);
}

/** There is nothing (more) to read from the fill. */
async function answerEnd(client: Client, target: Target, end: FillEnd, deps: ServeDependencies): Promise<Response> {
  switch (end.kind) {
    case "stored": {
      const found = await lookUp(client, target.key, deps);
      const status = { kind: "forwarded", reason: "miss", collapsed: true, stored: true } as const;
      const response = found === null ? null : await answerStored(client, { target, key: target.key, found, status, ageSeconds: 0 }, deps);
      return response ?? serveMiss(client, target, deps, { looked: true });
    }
    case "absent":
      return refuseAbsent(end.status, target);
    case "failure":
      return refuseFailure(end);
    case "unsatisfiable":
      return refuse(
        416,
        "The range begins after the end of the file",
        end.size === undefined ? {} : { "Content-Range": formatUnsatisfiedRange(end.size) },
      );
    case "unshared":
    case "changed":
      return passThrough(client, target, deps);
  }
}

async function answerReading(client: Client, target: Target, reading: Reading, deps: ServeDependencies): Promise<Response> {
  const size = reading.object?.size ?? 0;
  // Small bodies are answered only once whole: most failures then are tried again unseen, or are an answer that every client retries.
  const isHeld = size <= deps.config.holdBytes;
  const failed = await reading.hold(isHeld ? deps.config.holdMs : 0);
  if (failed !== null && (failed.kind === "failure" || reading.object === null)) {
    close();
    return answerEnd(client, target, failed, deps);
  }
  const object = reading.promise();
  const answered = answer(object, client);
  const head = answerHead(object, answered);
  head.headers.set("Age", "0");
  const status = { kind: "forwarded", reason: "miss", status: 200, stored: reading.stored, collapsed: reading.collapsed } as const;
  head.headers.set("Cache-Status", formatCacheStatus(status));
  if (!hasBody(client, answered)) {
    close();
    return new Response(null, head);
  }
  deps.onUse(target.key, Number(head.headers.get("Content-Length")));
  const { offset, length } = answered.kind === "partial" ? answered.span : { offset: 0, length: object.size };
  const whole = answered.kind === "multipart" ? null : reading.whole();
  if (whole !== null) {
    reading.close();
    client.onBody(length, null);
    return new Response(whole.subarray(offset, offset + length), head);
  }
  const end = answered.kind === "multipart" ? null : await reading.prime(offset, offset + length);
  if (end === null) {
    const deliver = answered.kind === "multipart" ? deliverFrom(reading) : fillingDeliver({ client, target, reading, object }, deps);
    return streamReading(client, { object, answered, head, close: () => reading.close() }, deliver);
  }
  if (end.kind === "failure") {
    close();
    return refuseFailure(end);
  }
  // Another version appeared between its beginning and the part asked for: start over with that.
  reading.close();
  await forget(target.key, object, deps);
  return serveMiss(client, target, deps, { looked: true });

  function close(): void {
    reading.close();
    client.onBody(0, null);
  }
}

/** The part of a cold object that is to be fetched. A suffix needs the length first; several ranges are fetched one by one. */
async function wantedSpan(client: Client, target: Target, deps: ServeDependencies): Promise<{ first: number; last?: number }> {
  const [range] = parseRange(client.headers.get("range")) ?? [];
  if (range === undefined) return { first: 0 };
  if (!("suffix" in range)) return range.last === undefined ? { first: range.first } : { first: range.first, last: range.last };
  const { mirror, path, query } = target;
  const upstream = await deps.upstreams.open({ mirror, path, query, class: target.class, method: "HEAD" });
  const size = upstream.kind === "head" ? upstream.representation.size : undefined;
  return size === undefined ? { first: 0 } : { first: Math.max(0, size - range.suffix) };
}

/** HEAD never fetches a body: the upstream is asked as the client asks. */
async function serveHead(client: Client, target: Target, deps: ServeDependencies): Promise<Response> {
  const { mirror, path, query } = target;
  const upstream = await deps.upstreams.open({ mirror, path, query, class: target.class, method: "HEAD" });
  client.onBody(0, null);
  if (upstream.kind === "absent") return refuseAbsent(upstream.status, target);
  if (upstream.kind === "failure") return refuseFailure(upstream);
  if (upstream.kind !== "head") return refuse(502, `The upstream answered HEAD with ${upstream.kind}`);
  return new Response(null, { headers: passedHeaders(upstream.representation) });
}

/** Encoded, or long and without a length: passed on as it is, neither stored nor shared; a clean end only where nothing speaks against it. */
async function passThrough(client: Client, target: Target, deps: ServeDependencies): Promise<Response> {
  const { mirror, path, query } = target;
  const range = deps.native === null ? undefined : rangeToPass(client);
  const upstream = await deps.upstreams.open({ mirror, path, query, class: target.class, ...(range === undefined ? {} : { range }) });
  if (upstream.kind === "absent") return refuseAbsent(upstream.status, target);
  if (upstream.kind === "failure") return refuseFailure(upstream);
  if (upstream.kind === "unsatisfiable") return answerEnd(client, target, upstream, deps);
  if (upstream.kind !== "body") return refuse(502, `The upstream answered with ${upstream.kind}`);
  const { representation, source } = upstream;
  const passed = await passNatively(client, target, upstream, deps);
  if (passed !== null) {
    const headers = passedHeaders(representation);
    for (const [name, value] of Object.entries(passed.headers)) headers.set(name, value);
    return new Response(passed.body, { status: passed.status, headers });
  }
  const isChunked = representation.size === undefined || isLengthBlind(client);
  const body = streamBody(client, { length: representation.size ?? null, isChunked }, async (sink) => {
    try {
      // What is known of a file is known of its bytes, not of an encoding.
      const isPlain = representation.contentEncoding === undefined;
      const checked = isPlain ? await createCheckedSink(target, representation, deps, sink) : null;
      for (let chunk = await source.read(); chunk !== null; chunk = await source.read()) await (checked ?? sink).write(chunk.slice());
      await checked?.finish();
    } finally {
      source.cancel("the client has been served");
    }
  });
  const headers = passedHeaders(representation);
  if (isChunked) headers.delete("Content-Length");
  return new Response(body, {
    headers,
    ...(representation.contentEncoding === undefined ? {} : { encodeBody: "manual" }),
  });
}

function passedHeaders({ size, contentType, contentEncoding, lastModified }: Representation): Headers {
  const headers = new Headers({
    "Cache-Control": "no-transform",
    "Cache-Status": formatCacheStatus({ kind: "forwarded", reason: "miss", status: 200 }),
    "Content-Type": contentType ?? "application/octet-stream",
  });
  if (size !== undefined) headers.set("Content-Length", String(size));
  if (contentEncoding !== undefined) headers.set("Content-Encoding", contentEncoding);
  else headers.set("Accept-Ranges", "bytes");
  if (lastModified !== undefined) headers.set("Last-Modified", lastModified);
  return headers;
}
