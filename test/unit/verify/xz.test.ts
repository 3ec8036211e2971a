import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { makeNoise } from "../../support/fixture.ts";
import { requireTools } from "../../support/run-tool.ts";
import { allOffsets, anyCuts, judge, mutationsOf } from "../../support/verifying.ts";

const NAME = "source/sample-1.0.tar.xz";
const NOISE = new Uint8Array(makeNoise("xz", 1500));
const TEXT = new TextEncoder().encode("a line of text that compresses\n".repeat(100));

const compress = (content: Uint8Array, ...flags: readonly string[]): Uint8Array =>
  new Uint8Array(execFileSync("xz", ["--compress", "--stdout", ...flags], { input: content, maxBuffer: 16_000_000 }));
const joined = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

describe.runIf(requireTools("xz"))("an xz file (xz)", () => {
  const samples = (): readonly (readonly [string, Uint8Array])[] => [
    ["noise, which is not compressed", compress(NOISE)],
    ["text", compress(TEXT, "-9")],
    ["nothing in it", compress(new Uint8Array())],
    ["a CRC32", compress(TEXT, "--check=crc32")],
    ["a SHA-256", compress(TEXT, "--check=sha256")],
    ["no check", compress(TEXT, "--check=none")],
    ["a filter before LZMA2", compress(TEXT, "--x86", "--lzma2=preset=6")],
    ["blocks that state no sizes", compress(joined(TEXT, NOISE), "--threads=1", "--block-size=700")],
    ["blocks that state their sizes", compress(joined(TEXT, NOISE), "--threads=2", "--block-size=700")],
  ];

  test("is whole", async () => {
    for (const [what, bytes] of samples()) {
      const judged = await judge(NAME, bytes, { contentLength: bytes.length });
      expect({ what, ...judged }).toEqual({ what, verdict: { kind: "whole" }, declared: { kind: "unknown" } });
    }
  });

  test("of several megabytes, of blocks and chunks in any number, is whole, and broken without its last byte", async () => {
    const content = joined(new Uint8Array(makeNoise("long", 3_000_000)), new Uint8Array(3_000_000), TEXT);
    const bytes = compress(content, "-1", "--block-size=1000000");
    expect((await judge(NAME, bytes)).verdict.kind).toBe("whole");
    expect((await judge(NAME, bytes.subarray(0, -1))).verdict.kind).toBe("broken");
  });

  test("is broken when cut anywhere, though the length that upstream states fits the cut", async () => {
    for (const [what, bytes] of samples()) {
      for (const length of allOffsets(bytes.length)) {
        const { verdict } = await judge(NAME, bytes.subarray(0, length), { contentLength: length });
        if (verdict.kind !== "broken") expect.fail(`with ${what}, cut to ${length}, it is ${verdict.kind}`);
      }
    }
  });

  test("is broken when anything follows but streams and padding in fours", async () => {
    const bytes = compress(TEXT);
    for (const tail of [new Uint8Array(3), new Uint8Array(5), NOISE, bytes.subarray(0, 4), bytes.subarray(0, -1)]) {
      expect((await judge(NAME, joined(bytes, tail))).verdict.kind).toBe("broken");
    }
    for (const tail of [new Uint8Array(4), new Uint8Array(512), bytes, joined(new Uint8Array(8), compress(NOISE))]) {
      expect((await judge(NAME, joined(bytes, tail))).verdict.kind).toBe("whole");
    }
  });

  test("whose footer tells of another index is broken", async () => {
    const bytes = compress(TEXT);
    const footerAt = bytes.length - 12;
    for (const at of [4, 8, 9, 10, 11]) {
      const altered = bytes.slice();
      altered[footerAt + at] = (altered[footerAt + at] ?? 0) ^ 1;
      expect((await judge(NAME, altered)).verdict.kind).toBe("broken");
    }
  });

  test("that is mutated or cut into chunks is judged the same, and never throws", async () => {
    const bytes = joined(compress(joined(TEXT, NOISE), "--block-size=700"), new Uint8Array(4), compress(TEXT));
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.constant(bytes), mutationsOf(bytes)), anyCuts, async (file, cuts) => {
        const asOne = await judge(NAME, file);
        expect(await judge(NAME, file, { cuts })).toEqual(asOne);
      }),
      { numRuns: 500 },
    );
  });
});
