import { brotliCompressSync, constants, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { identityBody, type Labelled } from "../../../src/upstream/identity-body.ts";
import { SourceError, type ByteSource } from "../../../src/upstream/upstream.ts";
import { makeNoise } from "../../support/fixture.ts";

/** Gives views of one buffer that the next read overwrites, as a source may. */
function sourceOf(bytes: Uint8Array, chunk = 10_000): ByteSource & { readonly cancelled: string[]; isRead: boolean } {
  const buffer = new Uint8Array(chunk);
  let at = 0;
  const cancelled: string[] = [];
  const source = {
    cancelled,
    isRead: false,
    async read() {
      if (cancelled.length > 0) throw new SourceError({ kind: "failure", status: 502, detail: "cancelled" });
      const part = bytes.subarray(at, at + chunk);
      at += part.length;
      buffer.set(part);
      source.isRead ||= part.length === 0;
      return part.length === 0 ? null : buffer.subarray(0, part.length);
    },
    cancel: (reason = "") => void cancelled.push(reason),
    isEndProven: () => false,
  };
  return source;
}

async function readAll(source: ByteSource): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for (let part = await source.read(); part !== null; part = await source.read()) parts.push(part.slice());
  return Buffer.concat(parts);
}

function labelled(contentEncoding: string | undefined, path = "dists/a/InRelease", size?: number, namedSizes?: number[]): Labelled {
  return { path, representation: { contentEncoding, size, upstream: "http://one.test" }, ...(namedSizes && { namedSizes }) };
}

const FILE = Buffer.concat([Buffer.from("Origin: a\n".repeat(20_000)), makeNoise("identity", 100_000)]);
const ENCODERS: Readonly<Record<string, (bytes: Uint8Array) => Buffer>> = {
  gzip: gzipSync,
  "x-gzip": gzipSync,
  deflate: deflateSync,
  br: (bytes) => brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } }),
  zstd: zstdCompressSync,
};
const codings = fc.constantFrom(...Object.keys(ENCODERS));

describe("a body whose Content-Encoding is true", () => {
  it("comes decoded, however it was cut into chunks; its own end proves it", async () => {
    await fc.assert(
      fc.asyncProperty(codings, fc.integer({ min: 1, max: 50_000 }), fc.nat({ max: FILE.length }), async (coding, chunk, length) => {
        const file = FILE.subarray(0, length);
        const packed = ENCODERS[coding]?.(file) ?? file;
        const source = sourceOf(packed, Math.max(chunk, Math.ceil(packed.length / 500)));
        const body = await identityBody(source, labelled(coding, "InRelease", packed.length));
        expect(body).toMatchObject({ isDecoded: true, size: undefined });
        expect((await readAll(body.source)).equals(file)).toBe(true);
        expect(body.source.isEndProven?.()).toBe(true);
        expect(source.isRead).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it.each(Object.keys(ENCODERS))("comes decoded where its first chunk is a single byte: %s", async (coding) => {
    for (const file of [FILE.subarray(0, 0), FILE.subarray(0, 100)]) {
      const body = await identityBody(sourceOf(ENCODERS[coding]?.(file) ?? file, 1), labelled(coding, "InRelease"));
      expect(body.isDecoded).toBe(true);
      expect((await readAll(body.source)).equals(file)).toBe(true);
    }
  });

  it("comes decoded where it is raw DEFLATE, or coded twice", async () => {
    const raw = await identityBody(sourceOf(deflateRawSync(FILE)), labelled("deflate"));
    expect((await readAll(raw.source)).equals(FILE)).toBe(true);
    const twice = await identityBody(sourceOf(gzipSync(brotliCompressSync(FILE))), labelled("br, gzip"));
    expect((await readAll(twice.source)).equals(FILE)).toBe(true);
  });

  it.each(Object.keys(ENCODERS))("is refused where it ends early: %s", async (coding) => {
    const packed = ENCODERS[coding]?.(FILE) ?? FILE;
    const body = await identityBody(sourceOf(packed.subarray(0, packed.length - 9)), labelled(coding));
    await expect(readAll(body.source)).rejects.toMatchObject({ failure: { status: 502, isRefused: true } });
  });

  it("is refused where a byte of it is wrong", async () => {
    const packed = gzipSync(FILE);
    packed[packed.length >> 1]! ^= 0x20;
    const source = sourceOf(packed);
    const body = await identityBody(source, labelled("gzip"));
    await expect(readAll(body.source)).rejects.toThrow(/Cannot decode dists\/a\/InRelease from http:\/\/one.test/);
    expect(source.cancelled).toHaveLength(1);
  });

  it.each(["gzip", "zstd", "br"])("ends where it is a bomb, after little of it: %s", async (coding) => {
    const packed = ENCODERS[coding]?.(new Uint8Array(60 * 1024 * 1024)) ?? FILE;
    const body = await identityBody(sourceOf(packed, 4_096), labelled(coding));
    let open = 0;
    const reading = (async () => {
      for (let part = await body.source.read(); part !== null; part = await body.source.read()) open += part.length;
    })();
    await expect(reading).rejects.toMatchObject({ failure: { status: 502, isRefused: true } });
    expect(open).toBeLessThan(20 * 1024 * 1024);
  });

  it("lets the connection go when it is cancelled on the way, and passes on why the source failed", async () => {
    const source = sourceOf(gzipSync(makeNoise("cancel", 3_000_000)));
    const body = await identityBody(source, labelled("gzip"));
    await body.source.read();
    body.source.cancel("enough");
    expect(source.cancelled).toEqual(["enough"]);
    const failure = { kind: "failure", status: 504, detail: "stalled" } as const;
    const packed = gzipSync(makeNoise("fails", 300_000)).subarray(0, 100_000);
    const parts: Uint8Array[] = [packed];
    const failing = await identityBody(
      {
        async read() {
          const part = parts.shift();
          if (part === undefined) throw new SourceError(failure);
          return part;
        },
        cancel() {},
      },
      labelled("gzip"),
    );
    await expect(readAll(failing.source)).rejects.toMatchObject({ failure });
  });
});

describe("an encoded page under the name of a packed file", () => {
  const page = gzipSync(Buffer.from(`<!doctype html><html><body>${"log in ".repeat(5_000)}</body></html>`));
  it("comes decoded, so that it is known for a page; not one that has that name by right", async () => {
    const body = await identityBody(sourceOf(page, 300), labelled("gzip", "a-1.tar.gz", page.length));
    expect(body.isDecoded).toBe(true);
    expect((await readAll(body.source)).toString()).toContain("log in");
    expect((await identityBody(sourceOf(page, 300), labelled("gzip", "manual.html.gz", page.length))).isDecoded).toBe(false);
  });
});

describe("a body whose Content-Encoding is a mistake", () => {
  const packed = gzipSync(FILE);
  it.each<[string, Uint8Array, Labelled]>([
    ["nothing is said", FILE, labelled(undefined, "a", FILE.length)],
    ["the name is that of a packed file", packed, labelled("x-gzip", "Packages.gz", packed.length)],
    ["its length is that which is named", packed, labelled("gzip", "by-hash/SHA256/ab", packed.length, [packed.length])],
    ["it does not begin as the coding does", FILE, labelled("gzip", "InRelease", FILE.length)],
    ["it does not open, of a coding without a magic", FILE, labelled("br", "InRelease", FILE.length)],
    ["the same, raw DEFLATE", makeNoise("not deflate", 100_000), labelled("deflate", "a.bin", 100_000)],
    ["the word is no coding", FILE, labelled("aws-chunked", "InRelease", FILE.length)],
    ["nothing came", new Uint8Array(0), labelled("gzip", "InRelease", 0)],
  ])("is the file as it came: %s", async (_why, bytes, about) => {
    const body = await identityBody(sourceOf(bytes, 777), about);
    expect(body).toMatchObject({ isDecoded: false, size: bytes.length });
    expect((await readAll(body.source)).equals(Buffer.from(bytes))).toBe(true);
    expect(body.source.isEndProven?.()).toBe(false);
  });
});
