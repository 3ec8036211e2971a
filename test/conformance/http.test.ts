import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { download } from "../support/download.ts";
import { makeDeb, placeFile } from "../support/large-files.ts";
import type { PlacedFile } from "../support/large-files.ts";
import { startMirror } from "../support/mirror.ts";
import type { MirrorProcess } from "../support/mirror.ts";
import { findWorkerds } from "../support/process-figures.ts";
import { startOrigin } from "../support/origin.ts";
import type { Origin } from "../support/origin.ts";
import { readByteranges } from "../unit/serve/answer/byteranges-reader.ts";

const MIB = 1_048_576;

describe("npm start, byte for byte on the wire", () => {
  const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-http-"));
  let origin: Origin;
  let mirror: MirrorProcess;
  let sliced: PlacedFile;

  beforeAll(async () => {
    origin = await startOrigin(folder);
    placeFile(folder, "/hello.txt", Buffer.from("hello\n"));
    sliced = placeFile(folder, "/sliced.deb", makeDeb("sliced", 20 * MIB));
    mirror = await startMirror({ mirrors: { any: { upstreams: [origin.url] } } });
  });
  afterAll(async () => {
    await mirror?.remove();
    await origin?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const head = (start: string, ...lines: readonly string[]): string =>
    `${[start, `Host: 127.0.0.1:${mirror.port}`, ...lines].join("\r\n")}\r\n\r\n`;
  const get = (path = "/any/hello.txt", ...lines: readonly string[]): string => head(`GET ${path} HTTP/1.1`, ...lines);

  /** What comes back over one connection, which a `last` request of our own ends: 200 when the connection lived to answer it. */
  async function exchange(
    text: string,
    last = get("/-/health", "Connection: close"),
  ): Promise<{ readonly statuses: readonly number[]; readonly text: string }> {
    const socket = connect(mirror.port, "127.0.0.1");
    const chunks: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("error", () => {});
    socket.write(Buffer.from(text + last, "latin1"));
    await once(socket, "close");
    const received = Buffer.concat(chunks).toString("latin1");
    return { statuses: [...received.matchAll(/HTTP\/1\.[01] (\d{3}) /g)].map(([, status]) => Number(status)), text: received };
  }

  it("answers pipelined requests in their order, whatever becomes of each", async () => {
    const one = [
      get("/any/hello.txt"),
      get("/any/none.txt"),
      get("/any/hello.txt", "Range: bytes=1-2"),
      get("/any/hello.txt", "Range: bytes=99-"),
      get("/any/hello.txt", "If-None-Match: *"),
      get("/any/hello.txt", 'If-Match: "other"'),
      get("/any/../hello.txt"),
      head("HEAD /any/hello.txt HTTP/1.1"),
      head("HEAD /any/none.txt HTTP/1.1"),
      head("OPTIONS * HTTP/1.1"),
    ];
    const { statuses } = await exchange([...one, ...one].join(""));
    const expected = [200, 404, 206, 416, 304, 412, 400, 200, 404, 405];
    expect(statuses).toEqual([...expected, ...expected, 200]);
  });

  it("takes the body of a GET for no further request, and answers what follows it", async () => {
    const withLength = `${get("/any/hello.txt", "Content-Length: 5")}hello`;
    const chunked = `${get("/any/hello.txt", "Transfer-Encoding: chunked")}5\r\nhello\r\n0\r\n\r\n`;
    expect((await exchange(withLength + chunked)).statuses).toEqual([200, 200, 200]);
  });

  it("serves HTTP/1.0, and ends the connection", async () => {
    const { statuses, text } = await exchange(head("GET /any/hello.txt HTTP/1.0"), "");
    expect(statuses).toEqual([200]);
    expect(text).toMatch(/\r\n\r\nhello\n$/);
  });

  // workerd does not say which version a client speaks, and HTTP/1.1 wants 400 (RFC 9112 §3.2).
  it.each(["HTTP/1.1", "HTTP/1.0"])("refuses %s without a Host", async (version) => {
    expect((await exchange(`GET /any/hello.txt ${version}\r\nConnection: close\r\n\r\n`, "")).statuses).toEqual([400]);
  });

  it.each([
    ["a second Host, RFC 9112 §3.2", () => get("/any/hello.txt", "Host: other.example"), 400],
    ["an absolute target of our own", () => get(`http://127.0.0.1:${mirror.port}/any/hello.txt`), 200],
    ["an absolute target of somebody else's", () => get("http://other.example/any/hello.txt"), 421],
    ["an absolute target of another scheme", () => get("ftp://other.example/hello.txt"), 400],
    ["GET *", () => get("*"), 400],
    ["TRACE", () => head("TRACE /any/hello.txt HTTP/1.1"), 405],
    ["an expectation", () => get("/any/hello.txt", "Expect: 100-continue"), 200],
    ["100 KB of one header", () => get("/any/hello.txt", `X-Long: ${"a".repeat(100_000)}`), 200],
    ["10,000 header lines", () => get("/any/hello.txt", ...Array.from({ length: 10_000 }, (_, line) => `X-${line}: a`)), 200],
    ["a NUL in a path", () => get("/any/a%00b"), 400],
    ["encoded dots", () => get("/any/%2e%2e/hello.txt"), 400],
    ["an encoded backslash", () => get("/any/a%5cb"), 400],
    ["an encoded slash", () => get("/any/a%2fhello.txt"), 400],
    ["overlong UTF-8", () => get("/any/%c0%ae%c0%ae/hello.txt"), 400],
    ["an escape that is none", () => get("/any/%zz"), 400],
    ["doubled slashes", () => get("//any//hello.txt"), 200],
    ["a path of 1,000 characters", () => get(`/any/${"a".repeat(1000)}`), 414],
    ["a path of 5,000 characters", () => get(`/any/${"a".repeat(5000)}`), 414],
  ] as const)("answers %s and goes on", async (_name, request, status) => {
    expect((await exchange(request())).statuses).toEqual([status, 200]);
  });

  it.each([
    ["a folded header line, RFC 9112 §5.2", () => get("/any/hello.txt", "X-A: a\r\n b")],
    ["a space before the colon, RFC 9112 §5.1", () => get("/any/hello.txt", "X-A : a")],
    ["two lengths", () => get("/any/hello.txt", "Content-Length: 5", "Content-Length: 6")],
    ["a raw byte beyond ASCII in the path", () => get("/any/\u00e4")],
    ["a header of a megabyte", () => get("/any/hello.txt", `X-Long: ${"a".repeat(MIB)}`)],
  ])("refuses %s and hangs up, so that nothing hides behind it", async (_name, request) => {
    const { statuses } = await exchange(request());
    expect(statuses.every((status) => status >= 400 && status < 500)).toBe(true);
    expect(statuses.length).toBeLessThan(2);
  });

  it.each(["bytes=", "bytes=-", "bytes=5-2", "bytes=abc", "bytes=0-1,x", "bytes=1.5-2", "bytes 0-1", "items=0-1", "bytes=0-3,2-5"])(
    "ignores Range: %s",
    async (range) => {
      const { status, length } = await download(`${mirror.prefixUrl("any")}/hello.txt`, { headers: { range } });
      expect({ status, length }).toEqual({ status: 200, length: 6 });
    },
  );

  it.each([
    ["from a cold file", 0],
    ["from a warm one", 0],
    ["backwards", 1],
  ])("gives 300 ranges %s exactly, in their order", async (_name, isBackwards) => {
    const wanted = Array.from({ length: 300 }, (_, index) => ({
      first: index * 69_000 + 7,
      last: index * 69_000 + 7 + ((index * 997) % 30_000),
    }));
    if (isBackwards === 1) wanted.reverse();
    const range = `bytes=${wanted.map(({ first, last }) => `${first}-${last}`).join(",")}`;
    const got = await download(mirror.prefixUrl("any") + sliced.path, { headers: { range }, isKept: true });
    expect({ status: got.status, isWhole: got.isWhole }).toEqual({ status: 206, isWhole: true });
    const parts = readByteranges(got.headers["content-type"] ?? "", got.bytes);
    expect(parts.length).toBe(300);
    for (const [index, { first, last }] of wanted.entries()) {
      expect(parts[index]?.headers.get("content-range")).toBe(`bytes ${first}-${last}/${sliced.size}`);
      expect(Buffer.compare(parts[index]?.bytes ?? Buffer.alloc(0), sliced.bytes.subarray(first, last + 1))).toBe(0);
    }
  });

  it("keeps no descriptor of 1,000 clients that left in mid-body", async () => {
    const [runtime] = findWorkerds();
    const leave = async (turn: number): Promise<void> => {
      const headers: Record<string, string> = turn % 2 === 0 ? {} : { range: `bytes=${turn * 1000}-` };
      await download(mirror.prefixUrl("any") + sliced.path, { headers, stopAt: 1 + ((turn * 7919) % 200_000) });
    };
    const rounds = async (from: number, to: number): Promise<void> => {
      // oxlint-disable-next-line no-await-in-loop -- ten at a time
      for (let turn = from; turn < to; turn += 10) await Promise.all(Array.from({ length: 10 }, (_, index) => leave(turn + index)));
    };
    const count = (): number => readdirSync(`/proc/${runtime}/fd`).length;
    await rounds(0, 100);
    const before = count();
    await rounds(100, 1000);
    await expect.poll(count, { timeout: 20_000 }).toBeLessThan(before + 20);
    expect((await download(mirror.prefixUrl("any") + sliced.path)).sha256).toBe(sliced.sha256);
  });
});
