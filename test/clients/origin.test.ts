import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { startOrigin } from "../support/origin.ts";
import type { Origin } from "../support/origin.ts";

const CONTENT = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7) % 251));

let folder: string;
let origin: Origin;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "lazy-mirror-origin-"));
  writeFileSync(join(folder, "a+b.rpm"), CONTENT);
  utimesSync(join(folder, "a+b.rpm"), 1_700_000_000, 1_700_000_000);
  origin = await startOrigin(folder);
});
afterEach(() => {
  origin.clearFaults();
  origin.log.length = 0;
});
afterAll(async () => {
  await origin.close();
  rmSync(folder, { recursive: true });
});

interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: Buffer;
  /** The body ended before its framing said so, or no answer came at all. */
  readonly broken: boolean;
}

/** One request on a connection of its own, with what a client that checks the framing sees. */
function get(path: string, headers: Record<string, string> = {}, method = "GET"): Promise<Answer> {
  return new Promise((resolve) => {
    const request = httpRequest(origin.url + path, { method, headers, agent: false, maxHeaderSize: 1_000_000 }, (response) => {
      const parts: Buffer[] = [];
      const settle = (broken: boolean): void => {
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(parts),
          broken,
        });
      };
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("end", () => settle(!response.complete));
      response.on("error", () => settle(true));
    });
    request.on("error", () => resolve({ status: 0, headers: {}, body: Buffer.alloc(0), broken: true }));
    request.end();
  });
}

describe("a healthy origin", () => {
  it("serves the whole file with its length, date and entity tag, to HEAD too", async () => {
    const answer = await get("/a%2bb.rpm");
    expect(answer.body.equals(CONTENT)).toBe(true);
    expect(answer.headers).toMatchObject({
      "content-length": "300000",
      "last-modified": "Tue, 14 Nov 2023 22:13:20 GMT",
      etag: '"6553f100-493e0"',
      "content-type": "application/x-rpm",
    });
    const head = await get("/a+b.rpm", {}, "HEAD");
    expect([head.headers["content-length"], head.body.length, head.broken]).toEqual(["300000", 0, false]);
    expect(origin.log.map((one) => [one.method, one.path, one.target, one.status, one.bytes])).toEqual([
      ["GET", "/a+b.rpm", "/a%2bb.rpm", 200, 300_000],
      ["HEAD", "/a+b.rpm", "/a+b.rpm", 200, 0],
    ]);
  });

  it.each([
    ["bytes=10-19", 206, 10, 20],
    ["bytes=299990-", 206, 299_990, 300_000],
    ["bytes=-5", 206, 299_995, 300_000],
    ["bytes=0-1,5-6", 200, 0, 300_000],
  ])("answers Range: %s with %i", async (range, status, start, end) => {
    const answer = await get("/a+b.rpm", { range });
    expect(answer.status).toBe(status);
    expect(answer.body.equals(CONTENT.subarray(start, end))).toBe(true);
  });

  it("answers conditions, a range past the end, and If-Range", async () => {
    expect((await get("/a+b.rpm", { "if-modified-since": "Tue, 14 Nov 2023 22:13:20 GMT" })).status).toBe(304);
    expect((await get("/a+b.rpm", { "if-none-match": '"6553f100-493e0"' })).status).toBe(304);
    expect(await get("/a+b.rpm", { range: "bytes=300000-" })).toMatchObject({
      status: 416,
      headers: { "content-range": "bytes */300000" },
    });
    expect((await get("/a+b.rpm", { range: "bytes=5-", "if-range": '"other"' })).status).toBe(200);
    expect((await get("/a+b.rpm", { range: "bytes=5-", "if-range": '"6553f100-493e0"' })).status).toBe(206);
  });

  it("refuses connections while closed and comes back on its port", async () => {
    const { url } = origin;
    await origin.close();
    expect((await get("/a+b.rpm")).status).toBe(0);
    await origin.restart();
    expect(origin.url).toBe(url);
    expect((await get("/a+b.rpm")).status).toBe(200);
  });
});

describe("a fault", () => {
  it.each(["length", "chunked"] as const)("cuts a %s body so that its framing shows it", async (framing) => {
    origin.fault("/a+b.rpm", { kind: "cut", at: 0.3, framing });
    const answer = await get("/a+b.rpm");
    expect([answer.status, answer.body.length, answer.broken]).toEqual([200, 90_000, true]);
  });

  it("cuts a close-delimited body so that nothing shows it", async () => {
    origin.fault("/a+b.rpm", { kind: "cut", at: 1000, framing: "close" });
    const answer = await get("/a+b.rpm");
    expect([answer.headers["content-length"], answer.headers["transfer-encoding"], answer.body.length, answer.broken]).toEqual([
      undefined,
      undefined,
      1000,
      false,
    ]);
  });

  it("lasts for as many requests as it was told, on the paths that match", async () => {
    const fault = origin.fault(/\.rpm$/, { kind: "status", status: 503, headers: { "retry-after": "1" } }, { times: 2 });
    const statuses = [await get("/a+b.rpm"), await get("/other"), await get("/a+b.rpm"), await get("/a+b.rpm")].map((one) => one.status);
    expect(statuses).toEqual([503, 404, 503, 200]);
    expect(fault.hits).toBe(2);
  });

  it("flips one byte of the file, whatever range is asked for", async () => {
    origin.fault("/a+b.rpm", { kind: "flip", at: 0.5 });
    const body = (await get("/a+b.rpm", { range: "bytes=140000-" })).body;
    expect([...body.keys()].filter((index) => body[index] !== CONTENT[140_000 + index])).toEqual([10_000]);
  });

  it("stalls until it is cleared, and the body goes on", async () => {
    const fault = origin.fault("/a+b.rpm", { kind: "stall", at: 0.5 });
    const answer = get("/a+b.rpm");
    await origin.waitForRequest("/a+b.rpm");
    fault.clear();
    expect((await answer).body.equals(CONTENT)).toBe(true);
  });

  it("says nothing until it is cleared", async () => {
    origin.fault("/a+b.rpm", { kind: "black-hole" });
    const answer = get("/a+b.rpm");
    const { status } = await origin.waitForRequest("/a+b.rpm");
    expect(status).toBeUndefined();
    origin.clearFaults();
    expect((await answer).status).toBe(200);
  });

  it("changes status, length, ranges, headers or the protocol as it says", async () => {
    const first = async (fault: Parameters<Origin["fault"]>[1], headers: Record<string, string> = {}): Promise<Answer> => {
      origin.fault("/a+b.rpm", fault, { times: 1 });
      return get("/a+b.rpm", headers);
    };
    expect(await first({ kind: "short", at: 0.5 })).toMatchObject({
      status: 200,
      headers: { "content-length": "150000" },
      broken: false,
    });
    expect(await first({ kind: "lying-length", by: 10 })).toMatchObject({
      headers: { "content-length": "300010" },
      broken: true,
    });
    await first({ kind: "lying-length", by: -10 });
    expect(origin.log.at(-1)).toMatchObject({ status: 200, bytes: 300_000 });
    expect((await first({ kind: "framing", framing: "chunked" })).headers["transfer-encoding"]).toBe("chunked");
    expect(await first({ kind: "framing", framing: "close" })).toMatchObject({
      broken: false,
      body: CONTENT,
    });
    expect((await first({ kind: "gzip" })).headers["content-encoding"]).toBe("gzip");
    expect(await first({ kind: "html" })).toMatchObject({
      status: 200,
      headers: { "content-type": "text/html" },
    });
    expect(await first({ kind: "redirect" })).toMatchObject({
      status: 302,
      headers: { location: "/a+b.rpm" },
    });
    expect((await first({ kind: "ignore-range" }, { range: "bytes=5-9" })).status).toBe(200);
    expect((await first({ kind: "wrong-range", how: "start" }, { range: "bytes=5-9" })).headers["content-range"]).toBe("bytes 6-9/300000");
    expect(
      (await first({ kind: "wrong-range", how: "no-content-range" }, { range: "bytes=5-9" })).headers["content-range"],
    ).toBeUndefined();
    expect((await first({ kind: "wrong-range", how: "total" }, { range: "bytes=5-9" })).headers["content-range"]).toBe("bytes 5-9/300001");
    expect((await first({ kind: "no-validators" })).headers).not.toHaveProperty("etag");
    expect((await first({ kind: "not-modified" })).status).toBe(304);
    expect((await first({ kind: "garbage" })).status).toBe(0);
    expect((await first({ kind: "huge-headers" })).headers).toHaveProperty("x-huge-60");
    expect((await first({ kind: "reset", at: 0.2 })).broken).toBe(true);
    expect(await first({ kind: "status", status: 502, body: "" })).toMatchObject({
      status: 502,
      headers: { "content-length": "0" },
    });
    expect(
      createHash("sha256")
        .update((await get("/a+b.rpm")).body)
        .digest("hex"),
    ).toBe(createHash("sha256").update(CONTENT).digest("hex"));
  });
});
