import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { gzipSync, zstdCompressSync } from "node:zlib";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { decompress } from "../../../../src/metadata/formats/decompress.ts";
import { parsePackages } from "../../../../src/metadata/formats/parse-packages.ts";
import { parsePrimary } from "../../../../src/metadata/formats/parse-primary.ts";
import { MalformedError } from "../../../../src/metadata/formats/parsed-root.ts";
import { DECODERS } from "../../../support/decompressing.ts";
import { brief, type Brief, chunked, packages, primary, sha256 } from "../samples.ts";

type Parse = typeof parsePrimary;
async function all(parse: Parse, chunks: AsyncIterable<Uint8Array>): Promise<Brief[]> {
  const found: Brief[] = [];
  await parse(chunks, (named) => found.push(brief(named)));
  return found;
}
const EXPECTED = [
  { path: "Packages/a.rpm", size: 3, sha256: sha256("aaa") },
  { path: "b c+d.rpm", size: 2, sha256: sha256("bb") },
];
const FILES = { "Packages/a.rpm": "aaa", "b c+d.rpm": "bb" };

test.each<[string, Parse, string]>([
  ["primary.xml", parsePrimary, primary(FILES)],
  ["Packages", parsePackages, packages(FILES)],
])("%s gives path, size and SHA-256 of each package, however its bytes arrive and are compressed", async (_name, parse, text) => {
  for (const size of [1, 7, 100_000]) {
    for (const content of [text, gzipSync(text), zstdCompressSync(text)]) {
      expect(await all(parse, decompress(chunked(content, size), { ...DECODERS, maxBytes: 1e6 }))).toEqual(EXPECTED);
    }
  }
});

test("Sources names each file of a source package below its directory", async () => {
  const text = `Package: bash\nDirectory: pool/main/b/bash\nFiles:\n 0 5 bash.dsc\nChecksums-Sha256:\n ${"a".repeat(64)} 5 bash.dsc\n ${"b".repeat(64)} 6 bash.tar.xz\nVcs: x\n\n`;
  expect(await all(parsePackages, chunked(text))).toEqual([
    { path: "pool/main/b/bash/bash.dsc", size: 5, sha256: "a".repeat(64) },
    { path: "pool/main/b/bash/bash.tar.xz", size: 6, sha256: "b".repeat(64) },
  ]);
});

test.each<[string, Parse, string]>([
  ["a primary.xml that is cut", parsePrimary, primary(FILES).slice(0, -20)],
  ["an HTML page", parsePackages, "<html>\n"],
])("%s is malformed", async (_name, parse, text) => {
  await expect(all(parse, chunked(text, 65_536))).rejects.toBeInstanceOf(MalformedError);
});

test("a gigabyte of nothing in a megabyte of gzip ends at the limit", async () => {
  const bomb = gzipSync(new Uint8Array(64 * 1024 * 1024));
  let seen = 0;
  const read = async (): Promise<void> => {
    for await (const chunk of decompress(chunked(bomb, 4096), { ...DECODERS, maxBytes: 1024 * 1024 })) seen += chunk.length;
  };
  await expect(read()).rejects.toThrow("more than 1048576 bytes once decompressed");
  expect(seen).toBeLessThanOrEqual(1024 * 1024);
});

test.each([
  ["gzip", gzipSync(primary(FILES))],
  ["zstd", zstdCompressSync(primary(FILES))],
])("cut or altered %s is malformed", async (_name, bytes) => {
  await expect(
    all(parsePrimary, decompress(chunked(bytes.subarray(0, bytes.length - 9)), { ...DECODERS, maxBytes: 1e6 })),
  ).rejects.toBeInstanceOf(MalformedError);
  const altered = new Uint8Array(bytes);
  altered.fill(0xff, 20, 40);
  await expect(all(parsePrimary, decompress(chunked(altered), { ...DECODERS, maxBytes: 1e6 }))).rejects.toBeInstanceOf(MalformedError);
});

test("no input makes a parser throw anything but MalformedError", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.uint8Array(),
        fc.string().map((text) => new TextEncoder().encode(text)),
      ),
      async (input) => {
        for (const parse of [parsePrimary, parsePackages]) {
          await all(parse, decompress(chunked(input, 5), { ...DECODERS, maxBytes: 1000 })).catch((error: unknown) =>
            expect(error).toBeInstanceOf(MalformedError),
          );
        }
      },
    ),
  );
});

/** Bytes of the heap that something still refers to. */
function liveHeap(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return process.memoryUsage().heapUsed;
}

test("a primary.xml of 70,000 packages flows through without being held", async () => {
  const one = primary({ "Packages/NAME.rpm": "x" });
  const [head = "", rest = ""] = one.split(/(?=<package )/);
  const [body = "", tail = ""] = rest.split(/(?<=<\/package>)/);
  const padded = body.replace("<format>", `<format>${"<file>/usr/share/doc/some/longer/path</file>".repeat(40)}`);
  async function* big(): AsyncGenerator<Uint8Array> {
    const encoder = new TextEncoder();
    yield encoder.encode(head);
    for (let n = 0; n < 70_000; n += 100) {
      yield encoder.encode(Array.from({ length: 100 }, (_, k) => padded.replace("NAME", `p${n + k}`)).join(""));
    }
    yield encoder.encode(tail);
  }
  const before = liveHeap();
  let count = 0;
  let peak = 0;
  await parsePrimary(big(), () => {
    if (++count % 10_000 === 0) peak = Math.max(peak, liveHeap() - before);
  });
  expect(count).toBe(70_000);
  // 150 MB flowed.
  expect(peak).toBeLessThan(50 * 1024 * 1024);
});
