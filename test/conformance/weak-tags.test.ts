import { createHash, randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { download } from "../support/download.ts";
import { type MirrorProcess, startMirror } from "../support/mirror.ts";

const SIZE = 40 * 1024 * 1024;
const HALF = SIZE / 2;
/** 32 MB/s. */
const CHUNK = 320_000;
const PAUSE_MS = 10;

/** An image, with what a server says of it that tells little: the tag by the number of the response. */
const SHAPES: Readonly<Record<string, (response: number) => string | undefined>> = {
  "a constant weak entity tag": () => 'W/"constant"',
  "another entity tag with each response": (response) => `"backend-${response}"`,
  "no entity tag": () => undefined,
};

let server: Server;
let mirror: MirrorProcess;
let responses = 0;
const images = new Map(Object.keys(SHAPES).map((shape, at) => [`/image-1.${at}.raw`, { shape, bytes: randomBytes(SIZE) }]));

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const image = images.get(request.url ?? "");
  if (image === undefined) return void response.writeHead(404).end();
  const [, first = "0", last = ""] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "") ?? [];
  const isPart = request.headers.range !== undefined && request.headers["if-range"] === undefined;
  const [from, to] = isPart ? [Number(first), Math.min(SIZE, last === "" ? SIZE : Number(last) + 1)] : [0, SIZE];
  const etag = SHAPES[image.shape]?.(++responses);
  response.writeHead(isPart ? 206 : 200, {
    "content-type": "application/octet-stream",
    "last-modified": "Thu, 01 Jan 2026 00:00:00 GMT",
    "accept-ranges": "bytes",
    "content-length": to - from,
    ...(etag === undefined ? {} : { etag }),
    ...(isPart ? { "content-range": `bytes ${from}-${to - 1}/${SIZE}` } : {}),
  });
  for (let at = from; at < to && !response.destroyed; at += CHUNK) {
    response.write(image.bytes.subarray(at, Math.min(to, at + CHUNK)));
    await sleep(PAUSE_MS);
  }
  response.end();
}

beforeAll(async () => {
  server = createServer((request, response) => void answer(request, response)).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
  mirror = await startMirror({ mirrors: { m: { upstreams: [`http://127.0.0.1:${port}`] } } });
});
afterAll(async () => {
  await mirror.remove();
  server.closeAllConnections();
  server.close();
});

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

describe.each([...images])("%s, of which two clients want a half each at once", (path, { bytes }) => {
  test.each(["direct", "mirror"])("comes whole to them and to the next client: %s", async (way) => {
    const { port } = server.address() as AddressInfo;
    const url = `${way === "direct" ? `http://127.0.0.1:${port}` : mirror.prefixUrl("m")}${path}`;
    const halves = [`bytes=0-${HALF - 1}`, `bytes=${HALF}-`].map((range) => download(url, { headers: { Range: range } }));
    expect((await Promise.all(halves)).map((half) => half.sha256)).toEqual([sha256(bytes.subarray(0, HALF)), sha256(bytes.subarray(HALF))]);
    for (let clients = 0; clients < 2; clients++)
      expect(await download(url)).toMatchObject({ status: 200, isWhole: true, sha256: sha256(bytes) });
  });
});
