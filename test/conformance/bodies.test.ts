import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { craftRpm } from "../support/crafted-rpm.ts";
import { download, type Download } from "../support/download.ts";
import { makeNoise } from "../support/fixture.ts";
import { makeDeb, makeIso } from "../support/large-files.ts";
import { startMirror, type MirrorProcess } from "../support/mirror.ts";

const MIB = 1_048_576;

/** How an upstream sends one file. */
interface Sent {
  readonly bytes: Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default: Content-Length. `close`: the body ends with the connection. */
  readonly framing?: "chunked" | "close";
  /** The connection ends after so many bytes. */
  readonly cutAt?: number;
  readonly bytesPerSecond?: number;
  /** Answers a Range with 206. */
  readonly isRanged?: boolean;
}

describe("npm start", () => {
  const files = new Map<string, Sent>();
  const asked: { readonly path: string; readonly method: string; readonly range: string | undefined }[] = [];
  let server: Server;
  let second: Server;
  let mirror: MirrorProcess;
  let isDown = false;

  const originOf = (origin: Server): string => `http://127.0.0.1:${(origin.address() as AddressInfo).port}`;
  async function listen(lookup: (path: string) => Sent | undefined): Promise<Server> {
    const made = createServer((request, response) => {
      const path = decodeURIComponent(request.url ?? "").slice(1);
      asked.push({ path, method: request.method ?? "", range: request.headers.range });
      const sent = isDown ? undefined : lookup(path);
      if (isDown) return void request.socket.destroy();
      if (sent === undefined) return void response.writeHead(404).end();
      void send(request, sent);
    });
    made.listen(0, "127.0.0.1");
    await once(made, "listening");
    return made;
  }
  /** By hand, so that nothing is added to what is sent. */
  async function send({ socket, method, headers: sent }: IncomingMessage, { isRanged = false, ...file }: Sent): Promise<void> {
    const [, first, last] = (isRanged && /^bytes=(\d+)-(\d*)$/.exec(sent.range ?? "")) || [];
    const from = Number(first ?? 0);
    const to = Math.min(last ? Number(last) + 1 : file.bytes.length, file.bytes.length);
    const { headers = {}, framing, cutAt, bytesPerSecond } = file;
    const bytes = file.bytes.subarray(from, to);
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
    if (framing === undefined) lines.push(`Content-Length: ${bytes.length}`);
    if (framing === "chunked" && method !== "HEAD") lines.push("Transfer-Encoding: chunked");
    if (first !== undefined) lines.push(`Content-Range: bytes ${from}-${to - 1}/${file.bytes.length}`);
    socket.write(
      `HTTP/1.1 ${first === undefined ? "200 OK" : "206 Partial Content"}\r\n${["Connection: close", ...lines].join("\r\n")}\r\n\r\n`,
    );
    const step = bytesPerSecond === undefined ? 65_536 : Math.ceil(bytesPerSecond / 20);
    const end = cutAt ?? bytes.length;
    for (let at = 0; at < end && method !== "HEAD" && !socket.destroyed; at += step) {
      const part = bytes.subarray(at, Math.min(end, at + step));
      if (framing === "chunked") socket.write(`${part.length.toString(16)}\r\n`);
      const isTaken = socket.write(part);
      if (framing === "chunked") socket.write("\r\n");
      if (!isTaken) await Promise.race([once(socket, "drain"), once(socket, "close")]).catch(() => {});
      if (bytesPerSecond !== undefined) await new Promise((resolve) => setTimeout(resolve, 50));
    }
    if (framing === "chunked" && cutAt === undefined && method !== "HEAD") socket.write("0\r\n\r\n");
    socket.end();
  }

  beforeAll(async () => {
    server = await listen((path) => files.get(path));
    second = await listen((path) => files.get(`second/${path}`) ?? files.get(path));
    mirror = await startMirror({
      mirrors: { any: { upstreams: [originOf(server)] }, two: { upstreams: [originOf(server), originOf(second)] } },
      vars: { UPSTREAM_STALL_SECONDS: 4, UPSTREAM_FIRST_BYTE_SECONDS: 3 },
    });
  });
  afterAll(async () => {
    await mirror?.remove();
    server?.close();
    second?.close();
  });

  const get = (path: string, headers: Record<string, string> = {}, name = "any"): Promise<Download> =>
    download(`${mirror.prefixUrl(name)}/${path}`, { headers, isKept: true });
  const direct = (path: string): Promise<Download> => download(`${originOf(server)}/${path}`, { isKept: true });
  const gets = (path: string): number => asked.filter((one) => one.path === path && one.method === "GET").length;
  async function whileDown<T>(act: () => Promise<T>): Promise<T> {
    isDown = true;
    try {
      return await act();
    } finally {
      isDown = false;
    }
  }
  function expectWhole(got: Download, bytes: Uint8Array): void {
    const { status, isWhole, length } = got;
    expect({ status, isWhole, length }).toEqual({ status: 200, isWhole: true, length: bytes.length });
    expect(got.bytes.equals(bytes)).toBe(true);
  }

  describe("takes Content-Encoding for a label where the bytes prove the file", () => {
    const text = Buffer.from("Package: a\nVersion: 1\n\n".repeat(4_000));
    const rpm = craftRpm({ payload: makeNoise("labelled rpm", 300_000), format: "v4" }).bytes;
    const primary = gzipSync(makeNoise("primary", 50_000));
    const packages = gzipSync(Buffer.concat([text, Buffer.from("by-hash")]));
    const hex = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
    const pacman = gzipSync(Buffer.alloc(10_240));
    it.each<[string, Uint8Array, string]>([
      ["label/dists/a/main/binary-amd64/Packages.gz", gzipSync(text), "x-gzip"],
      [`label/repodata/${hex(primary)}-primary.xml.gz`, primary, "x-gzip"],
      [`label/dists/a/main/binary-amd64/by-hash/SHA256/${hex(packages)}`, packages, "gzip"],
      ["label/repo/os/x86_64/extra.files", pacman, "x-gzip"],
      ["label/x-1.tgz", gzipSync(makeNoise("tgz", 60_000)), "x-gzip"],
      ["label/pool/a_1_amd64.deb", makeDeb("labelled", 200_000), "gzip"],
      ["label/Packages/a-1.x86_64.rpm", rpm, "br"],
      ["label/a-1.iso", makeIso("labelled", 3 * MIB), "gzip"],
      ["label/a-1-x86_64.pkg.tar.zst", zstdCompressSync(makeNoise("zst", 60_000)), "zstd"],
      ["label/a-1.tar.xz", execFileSync("xz", ["-c"], { input: makeNoise("xz", 50_000) }), "deflate"],
      ["label/keys/RPM-GPG-KEY-a", Buffer.from("-----BEGIN PGP PUBLIC KEY BLOCK-----\n"), "aws-chunked"],
    ])("%s", async (path, bytes, coding) => {
      files.set(path, { bytes, headers: { "Content-Encoding": coding, "Content-Type": "text/html" } });
      expectWhole(await direct(path), bytes);
      const cold = await get(path);
      expectWhole(cold, bytes);
      expect(cold.headers["content-encoding"]).toBeUndefined();
      expect(cold.headers["content-length"]).toBe(String(bytes.length));
      const warm = await whileDown(() => get(path, { range: "bytes=10-19" }));
      expect({ status: warm.status, encoding: warm.headers["content-encoding"] }).toEqual({ status: 206, encoding: undefined });
      expect(warm.bytes.equals(bytes.subarray(10, 20))).toBe(true);
      // One of them direct. A name that is a digest does not say which form it names: that is found out by a second try.
      expect(gets(path)).toBeLessThanOrEqual(path.includes("by-hash") ? 3 : 2);
    });

    it("and names an rpm no web page", async () => {
      const { headers } = await get("label/Packages/a-1.x86_64.rpm");
      expect(headers["content-type"]).toBe("application/x-rpm");
    });

    it("answers a range of a cold file under a label, without fetching what lies before it", async () => {
      const iso = makeIso("labelled range", 40 * MIB);
      files.set("label/range.iso", { bytes: iso, headers: { "Content-Encoding": "x-gzip", ETag: '"r"' }, isRanged: true });
      const part = await get("label/range.iso", { range: "bytes=33000000-33000099" });
      expect({ status: part.status, range: part.headers["content-range"] }).toEqual({
        status: 206,
        range: `bytes 33000000-33000099/${iso.length}`,
      });
      expect(part.bytes.equals(iso.subarray(33_000_000, 33_000_100))).toBe(true);
      expect(asked.filter(({ path }) => path === "label/range.iso").every(({ range }) => range !== undefined)).toBe(true);
      expectWhole(await get("label/range.iso"), iso);
    });
  });

  describe("decodes a body that is encoded, and sends it as identity", () => {
    const ENCODERS = { gzip: gzipSync, "x-gzip": gzipSync, deflate: deflateSync, br: brotliCompressSync, zstd: zstdCompressSync };
    it.each(Object.entries(ENCODERS))("%s", async (coding, encode) => {
      const path = `coded/notes-${coding}.txt`;
      const text = Buffer.from(`${coding} line\n`.repeat(20_000));
      files.set(path, { bytes: encode(text), headers: { "Content-Encoding": coding, ETag: `"${coding}"` } });
      for (const one of [await get(path, { "accept-encoding": "gzip, br" }), await whileDown(() => get(path))]) {
        expectWhole(one, text);
        expect(one.headers["content-encoding"]).toBeUndefined();
        expect(one.headers["content-length"]).toBe(String(text.length));
      }
      expect(gets(path)).toBe(1);
    });

    it("a long one too, in slices, which one upstream request brings to all; no length before its end, and ranges after it", async () => {
      const path = "coded/long.log";
      const text = Buffer.concat([makeNoise("long", 25 * MIB), Buffer.from("end\n")]);
      files.set(path, { bytes: gzipSync(text, { level: 1 }), headers: { "Content-Encoding": "gzip" }, bytesPerSecond: 10 * MIB });
      for (const one of await Promise.all(Array.from({ length: 5 }, () => get(path)))) expectWhole(one, text);
      expect(gets(path)).toBe(1);
      const part = await whileDown(() => get(path, { range: "bytes=20000000-20000009" }));
      expect({ status: part.status, range: part.headers["content-range"] }).toEqual({
        status: 206,
        range: `bytes 20000000-20000009/${text.length}`,
      });
    });

    it("a package that is encoded, judged by what it opens to", async () => {
      const deb = makeDeb("encoded", 300_000);
      files.set("coded/a_1_amd64.deb", { bytes: gzipSync(deb), headers: { "Content-Encoding": "gzip" } });
      expectWhole(await get("coded/a_1_amd64.deb"), deb);
      const page = Buffer.from("<!doctype html><html><body>Please log in.</body></html>");
      files.set("coded/b_1_amd64.deb", { bytes: gzipSync(page), headers: { "Content-Encoding": "gzip" } });
      expect((await get("coded/b_1_amd64.deb")).status).toBe(502);
    });

    it.each([
      ["a bomb", gzipSync(new Uint8Array(200 * MIB))],
      ["one that ends early", gzipSync(makeNoise("early", 100_000)).subarray(0, 60_000)],
    ])("but not %s: 502 or an aborted body, and nothing stored", async (what, bytes) => {
      const path = `coded/bad-${what.replaceAll(" ", "-")}.txt`;
      files.set(path, { bytes, headers: { "Content-Encoding": "gzip" } });
      const one = await get(path);
      expect(one.status === 502 || !one.isWhole).toBe(true);
      expect((await whileDown(() => get(path))).status).toBe(502);
    });
  });

  describe("takes a page for a page by its bytes", () => {
    const deb = makeDeb("under html", 100_000);
    it("a package labelled text/html is the package, and its upstream stays in use", async () => {
      for (let times = 0; times < 8; times++) {
        files.set(`html/a_${times}_amd64.deb`, { bytes: deb, headers: { "Content-Type": "text/html" } });
        expectWhole(await get(`html/a_${times}_amd64.deb`), deb);
      }
      const status = await (await fetch(`${mirror.url}/-/status.json`)).text();
      expect(status).not.toMatch(/"state":"(open|probe-due)"/);
    });

    it.each<[string, Sent]>([
      ["with a length", { bytes: Buffer.from("<!doctype html><html>log in</html>") }],
      ["in chunks", { bytes: Buffer.from("<html><body>log in</body></html>"), framing: "chunked" }],
      ["without doctype, under its label", { bytes: Buffer.from("<h1>Not found</h1>"), headers: { "Content-Type": "text/html" } }],
      ["encoded", { bytes: gzipSync(Buffer.from("<html>log in</html>")), headers: { "Content-Encoding": "gzip" } }],
      ["without a length", { bytes: Buffer.from("<html>log in</html>"), framing: "close" }],
    ])("a page in place of one is refused, and the next upstream asked: %s", async (how, page) => {
      for (const suffix of ["deb", "rpm", "tar.gz", "iso"]) {
        const path = `html/page-${how.replaceAll(/\W/g, "-")}-1.0.${suffix}`;
        const good =
          suffix === "deb"
            ? makeDeb(how, 60_000)
            : suffix === "rpm"
              ? craftRpm({ payload: makeNoise(how, 60_000), format: "v4" }).bytes
              : null;
        files.set(path, page);
        expect((await get(path)).status).toBe(502);
        if (good === null) continue;
        files.set(`second/${path}`, { bytes: good });
        expectWhole(await get(path, {}, "two"), good);
      }
    });

    it("a page under a name of HTML, a listing and a key pass as they do directly", async () => {
      const page = Buffer.from("<!doctype html><html><body>Index of /</body></html>");
      for (const path of ["html/notes.html", "html/listing/", "html/RPM-GPG-KEY-x"]) {
        files.set(path, { bytes: page, headers: { "Content-Type": "text/html" } });
        expectWhole(await get(path), page);
      }
    });
  });

  describe("keeps a body that came without a length where its end is proven", () => {
    it.each<[string, number]>([
      ["chunks/listing/", 3_000],
      ["chunks/RPM-GPG-KEY-c", 2_000],
      ["chunks/image-1.img", MIB],
      ["chunks/source-1.tar.gz", 6 * MIB],
      ["chunks/big-1.tar.gz", 20 * MIB],
      ["chunks/exactly-1.tar.gz", 16 * MIB],
      ["chunks/slice-1.tar.gz", 8 * MIB],
      ["chunks/empty-1.txt", 0],
    ])("%s of %d bytes, in chunks", async (path, size) => {
      const bytes = makeNoise(path, size);
      files.set(path, { bytes, framing: "chunked" });
      expectWhole(await direct(path), bytes);
      asked.length = 0;
      for (const one of await Promise.all(Array.from({ length: 5 }, () => get(path)))) expectWhole(one, bytes);
      expect(gets(path)).toBe(1);
      const warm = await whileDown(() => get(path));
      expectWhole(warm, bytes);
      expect(warm.headers["content-length"]).toBe(String(size));
      expect(warm.headers["cache-status"]).toContain("hit");
    });

    it.each<[string, Uint8Array]>([
      ["chunks/a_1_amd64.deb", makeDeb("chunked", 30 * MIB)],
      ["chunks/a-1.x86_64.rpm", craftRpm({ payload: makeNoise("chunked rpm", 30 * MIB), format: "v4" }).bytes],
    ])("%s: one request upstream for five clients at once and later, with its length", async (path, bytes) => {
      files.set(path, { bytes, framing: "chunked" });
      for (const one of await Promise.all(Array.from({ length: 5 }, () => get(path)))) {
        expectWhole(one, bytes);
        expect(one.headers["content-length"]).toBe(String(bytes.length));
        expect(one.headers["cache-status"]).toContain("stored");
      }
      const part = await get(path, { range: "bytes=25000000-25000099" });
      expect(part.headers["content-range"]).toBe(`bytes 25000000-25000099/${bytes.length}`);
      expectWhole(await whileDown(() => get(path)), bytes);
      expect(gets(path)).toBe(1);
    });

    it("an iso and a long package that declare no exact length: one request upstream, in chunks where it takes long", async () => {
      for (const [path, bytes] of [
        ["chunks/a-1.iso", makeIso("chunked", 30 * MIB)],
        ["chunks/a-1-x86_64.pkg.tar.zst", zstdCompressSync(makeNoise("chunked zst", 30 * MIB))],
      ] as const) {
        files.set(path, { bytes, framing: "chunked", bytesPerSecond: 12 * MIB });
        for (const one of await Promise.all(Array.from({ length: 5 }, () => get(path)))) {
          expectWhole(one, bytes);
          expect(one.headers["cache-status"]).not.toContain("stored");
        }
        const warm = await whileDown(() => get(path));
        expectWhole(warm, bytes);
        expect(warm.headers["content-length"]).toBe(String(bytes.length));
        expect(gets(path)).toBe(1);
      }
    });

    it("a deb with a member behind its data, after one try at most", async () => {
      const deb = makeDeb("signed", 20 * MIB);
      const member = Buffer.from(
        `${"_gpgorigin".padEnd(16)}${"0".padEnd(12)}${"0".padEnd(6)}${"0".padEnd(6)}${"100644".padEnd(8)}${"100".padEnd(10)}\`\n`,
      );
      const signed = Buffer.concat([deb, member, makeNoise("signature", 100)]);
      files.set("chunks/signed_1_amd64.deb", { bytes: signed, framing: "chunked" });
      const first = await get("chunks/signed_1_amd64.deb");
      expect(first.status >= 500 || !first.isWhole || first.bytes.equals(signed)).toBe(true);
      expectWhole(await get("chunks/signed_1_amd64.deb"), signed);
    });
  });

  describe("keeps nothing that may be cut", () => {
    it.each<[string, "chunked" | "close", number, number]>([
      ["cut/a-1.tar.gz", "chunked", 3 * MIB, MIB],
      ["cut/b-1.tar.gz", "chunked", 30 * MIB, 20 * MIB],
      ["cut/listing/", "chunked", 60_000, 20_000],
    ])("%s, %s: no clean end, and nothing stored", async (path, framing, size, cutAt) => {
      const bytes = makeNoise(path, size);
      files.set(path, { bytes, framing, cutAt, bytesPerSecond: 10 * MIB });
      const one = await get(path);
      expect(one.status >= 500 || !one.isWhole).toBe(true);
      files.set(path, { bytes, framing });
      expectWhole(await get(path), bytes);
    });

    it("a package of no known structure that ends with its connection: passed on, not stored, and not said to be", async () => {
      for (const size of [100_000, 6 * MIB, 20 * MIB]) {
        const path = `close/a-${size}.tar.gz`;
        const bytes = makeNoise(path, size);
        files.set(path, { bytes, framing: "close" });
        const one = await get(path);
        expectWhole(one, bytes);
        expect(one.headers["cache-status"]).not.toContain("stored");
        expectWhole(await get(path), bytes);
        expect(gets(path)).toBe(2);
        expect((await whileDown(() => get(path))).status).toBe(502);
      }
    });

    it("a deb that ends with its connection is proven by its structure", async () => {
      const deb = makeDeb("close", 12 * MIB);
      files.set("close/a_1_amd64.deb", { bytes: deb, framing: "close" });
      expectWhole(await get("close/a_1_amd64.deb"), deb);
      expectWhole(await whileDown(() => get("close/a_1_amd64.deb")), deb);
      files.set("close/b_1_amd64.deb", { bytes: deb, framing: "close", cutAt: 9 * MIB });
      expect((await get("close/b_1_amd64.deb")).isWhole).toBe(false);
    });

    it("a small listing or key that ends with its connection: asked for each time, kept for when no upstream answers", async () => {
      for (const path of ["close/listing/", "close/RPM-GPG-KEY-z"]) {
        const bytes = makeNoise(path, 5_000);
        files.set(path, { bytes, framing: "close", headers: { ETag: '"same"' } });
        expectWhole(await get(path), bytes);
        expectWhole(await get(path), bytes);
        expect(gets(path)).toBe(2);
        const stale = await whileDown(() => get(path));
        expectWhole(stale, bytes);
        expect(stale.headers["cache-status"]).toContain("stale");
        // Cut this time: the next whole one replaces it.
        files.set(path, { bytes, framing: "close", headers: { ETag: '"same"' }, cutAt: 1_000 });
        await get(path);
        files.set(path, { bytes, framing: "close", headers: { ETag: '"same"' } });
        expectWhole(await get(path), bytes);
      }
    });
  });

  describe("HEAD", () => {
    it("states no length where the upstream states none, or that of an encoding; the true one once it is stored", async () => {
      const text = Buffer.from("line\n".repeat(1_000));
      files.set("head/chunked.txt", { bytes: text, framing: "chunked" });
      files.set("head/coded.txt", { bytes: gzipSync(text), headers: { "Content-Encoding": "gzip" } });
      for (const path of ["head/chunked.txt", "head/coded.txt"]) {
        const head = (): Promise<Download> => download(`${mirror.prefixUrl("any")}/${path}`, { method: "HEAD" });
        const cold = await head();
        expect({ status: cold.status, length: cold.headers["content-length"], coding: cold.headers["content-encoding"] }).toEqual({
          status: 200,
          length: undefined,
          coding: undefined,
        });
        await get(path);
        expect((await head()).headers["content-length"]).toBe(String(text.length));
      }
    });
  });

  it("a client that does not compare lengths gets chunks, and a cut raises there", async () => {
    const agent = { "user-agent": "python-requests/2.28" };
    const bytes = makeNoise("koji", 6 * MIB);
    files.set("koji/a-1.tar.gz", { bytes, framing: "chunked" });
    const one = await get("koji/a-1.tar.gz", agent);
    expectWhole(one, bytes);
    files.set("koji/b-1.tar.gz", { bytes, framing: "chunked", cutAt: 5 * MIB, bytesPerSecond: 3 * MIB });
    expect((await get("koji/b-1.tar.gz", agent)).isWhole).toBe(false);
  });
});
