import { expect, test } from "vitest";
import { createUpstreams } from "../../src/upstream/create-upstreams.ts";
import type { Timer } from "../../src/clock/timer.ts";
import type { ByteSource, UpstreamAnswer } from "../../src/upstream/upstream.ts";

const STALL_MS = 10_000;
const ONE = "http://one.example";
const TWO = "http://two.example";

interface Rig {
  open(): Promise<UpstreamAnswer>;
  /** Lets the pending stall limit run out. */
  runOut(): void;
}

/** What runs only in workerd: its byte streams and readAtLeast. The network is a function, time stands still. */
function rig(fetchLike: (url: string, headers: Headers) => Response): Rig {
  const timers = new Map<() => void, number>();
  const after: Timer = (ms, run) => {
    timers.set(run, ms);
    return () => timers.delete(run);
  };
  const upstreams = createUpstreams({
    config: { upstreamFirstByteSeconds: 5, upstreamStallSeconds: STALL_MS / 1000, contactUrl: undefined },
    via: { headerFor: () => "1.1 lazy-mirror-00000000" },
    version: "0",
    fetch: (url, init) => Promise.resolve(fetchLike(url, new Headers(init.headers))),
    now: () => 0,
    random: () => 0.5,
    after,
    onEvent: () => {},
  });
  const mirror = {
    name: "m",
    hosts: [],
    distro: undefined,
    upstreams: [ONE, TWO].map((url) => ({ url, authorization: undefined })),
    redirectHosts: [],
    allowedQuery: [],
    classes: [],
  };
  return {
    open: () => upstreams.open({ mirror, path: "f.rpm", query: "", class: "package" }),
    runOut() {
      for (const run of timers.keys()) run();
    },
  };
}

const file = Uint8Array.from({ length: 900_000 }, (_, at) => (at * 31 + (at >> 8)) & 255);

/** `sent` bytes of the file, and then nothing, or the end of the connection. */
function partOf(sent: number, end: "stall" | "abort"): Response {
  const { readable, writable } = new IdentityTransformStream();
  const writer = writable.getWriter();
  void writer
    .write(file.slice(0, sent))
    .then(() => (end === "abort" ? writer.abort(new Error("connection lost")) : undefined))
    .catch(() => {});
  return new Response(readable, { headers: { "content-length": String(file.length) } });
}

function rangeOf(headers: Headers): Response {
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(headers.get("range") ?? "") ?? [];
  if (first === undefined) return new Response(file, { headers: { "content-length": String(file.length) } });
  const to = last ? Number(last) : file.length - 1;
  const body = file.slice(Number(first), to + 1);
  return new Response(body, { status: 206, headers: { "content-range": `bytes ${first}-${to}/${file.length}` } });
}

function sourceOf(answer: UpstreamAnswer): ByteSource {
  if (answer.kind !== "body") throw new Error(`expected a body, got ${answer.kind}`);
  return answer.source;
}

/** Reads until `length` bytes are there or the body ends; they must be the file's own. */
async function readFile(source: ByteSource, from: number, length: number): Promise<number> {
  let position = from;
  while (position < length) {
    const chunk = await source.read();
    if (chunk === null) break;
    expect(chunk.every((byte, at) => byte === file[position + at])).toBe(true);
    position += chunk.length;
  }
  return position;
}

test("a whole body arrives in few large reads", async () => {
  const source = sourceOf(await rig((_, headers) => rangeOf(headers)).open());
  let reads = 0;
  let length = 0;
  for (let chunk = await source.read(); chunk !== null; chunk = await source.read()) {
    length += chunk.length;
    reads++;
  }
  expect(length).toBe(file.length);
  expect(reads).toBeLessThan(file.length / 4_096 / 4);
});

test("a lost connection goes on with the next upstream, after the bytes were compared", async () => {
  const asked: string[] = [];
  let isFirst = true;
  const { open } = rig((url, headers) => {
    asked.push(`${new URL(url).host} ${headers.get("range") ?? ""}`);
    if (url.startsWith(TWO)) return rangeOf(headers);
    const response = isFirst ? partOf(400_000, "abort") : new Response(null, { status: 500 });
    isFirst = false;
    return response;
  });
  expect(await readFile(sourceOf(await open()), 0, file.length)).toBe(file.length);
  expect(asked[0]).toBe("one.example ");
  expect(asked.slice(-2).every((entry) => entry.startsWith("two.example bytes="))).toBe(true);
});

test("a stall ends a pending readAtLeast, and the next upstream goes on", async () => {
  const { open, runOut } = rig((url, headers) => (url.startsWith(ONE) ? partOf(300_000, "stall") : rangeOf(headers)));
  const source = sourceOf(await open());
  let position = 0;
  let next = source.read();
  for (;;) {
    // A read that brings nothing though the event loop went round is the one that stalls.
    const chunk = await Promise.race([next, new Promise<"waits">((resolve) => setTimeout(() => resolve("waits"), 200))]);
    if (chunk === "waits") break;
    position += chunk!.length;
    next = source.read();
  }
  runOut();
  position += (await next)!.length;
  expect(await readFile(source, position, file.length)).toBe(file.length);
});

test("cancelling ends a pending read with an error, not with the end of the body", async () => {
  const source = sourceOf(await rig(() => partOf(10, "stall")).open());
  await source.read();
  const next = source.read();
  source.cancel();
  await expect(next).rejects.toThrow(/cancelled/);
});
