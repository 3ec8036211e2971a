import { constants, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createVerifier } from "../../../src/verify/create-verifier.ts";
import { makeNoise } from "../../support/fixture.ts";
import { allOffsets, anyCuts, judge, mutationsOf } from "../../support/verifying.ts";

const NAME = "core/os/x86_64/sample-1:2.0-1-any.pkg.tar.zst";
const BLOCK_BYTES = 128 * 1024;

function compress(content: Uint8Array, options: { readonly checksum?: boolean; readonly contentSize?: boolean } = {}): Uint8Array {
  return new Uint8Array(
    zstdCompressSync(content, {
      params: {
        [constants.ZSTD_c_checksumFlag]: options.checksum === true ? 1 : 0,
        [constants.ZSTD_c_contentSizeFlag]: options.contentSize === false ? 0 : 1,
      },
    }),
  );
}

const joined = (...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array =>
  new Uint8Array(Buffer.concat(parts.map((part) => new Uint8Array(part))));

type BlockType = "raw" | "rle" | "compressed" | "reserved";

function block(type: BlockType, size: number, body: Uint8Array | readonly number[], isLast = false): Uint8Array {
  const header = (size << 3) | (["raw", "rle", "compressed", "reserved"].indexOf(type) << 1) | (isLast ? 1 : 0);
  return joined([header & 255, (header >> 8) & 255, header >> 16], body);
}

const MAGIC = [0x28, 0xb5, 0x2f, 0xfd];
/** A frame without checksum, dictionary or content size: descriptor and window only. */
const frame = (...blocks: readonly Uint8Array[]): Uint8Array => joined(MAGIC, [0, 0x58], ...blocks);
const SKIPPABLE = joined([0x5e, 0x2a, 0x4d, 0x18, 5, 0, 0, 0], [1, 2, 3, 4, 5]);
const EMPTY_SKIPPABLE = [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0];

const NOISE = new Uint8Array(makeNoise("zstd", 700));
const TEXT = new TextEncoder().encode("a line of text that compresses\n".repeat(40));

/** Each holds one data frame, so that no cut of it is whole; one of them has all kinds of blocks. */
const SINGLE_FRAMES: readonly (readonly [string, Uint8Array])[] = [
  ["raw noise", compress(NOISE)],
  ["compressed text", compress(TEXT)],
  ["a checksum", compress(TEXT, { checksum: true })],
  ["no content size", compress(TEXT, { contentSize: false })],
  ["nothing in it", compress(new Uint8Array())],
  ["nothing in it, and a checksum", compress(new Uint8Array(), { checksum: true })],
  ["one byte repeated", compress(new Uint8Array(100_000))],
  ["all kinds of blocks", frame(block("raw", 3, [1, 2, 3]), block("rle", 90_000, [7]), block("raw", 0, []), block("raw", 2, [1, 2], true))],
  ["an empty last block", frame(block("raw", 3, [1, 2, 3]), block("raw", 0, [], true))],
  ["a last block of one byte repeated", frame(block("rle", 500, [7], true))],
  ["a dictionary's id", joined(MAGIC, [0x03, 0x58, 1, 2, 3, 4], block("raw", 1, [9], true))],
  ["a content size of eight bytes in a single segment", joined(MAGIC, [0xe1, 9, 1, 0, 0, 0, 0, 0, 0, 0], block("raw", 1, [9], true))],
];

describe("a zstd file of one frame", () => {
  test.each(SINGLE_FRAMES)("with %s is whole", async (_, bytes) => {
    expect(await judge(NAME, bytes, { contentLength: bytes.length })).toEqual({
      verdict: { kind: "whole" },
      declared: { kind: "unknown" },
    });
  });

  test.each(SINGLE_FRAMES)("with %s is broken when cut anywhere, though the length that upstream states fits the cut", async (_, bytes) => {
    for (const length of allOffsets(bytes.length)) {
      const { verdict } = await judge(NAME, bytes.subarray(0, length), { contentLength: length });
      if (verdict.kind !== "broken") expect.fail(`cut to ${length} it is ${verdict.kind}`);
    }
  });

  test.each(SINGLE_FRAMES)("with %s is broken when anything but a frame follows", async (_, bytes) => {
    for (const tail of [[0], NOISE.subarray(0, 3), NOISE, MAGIC, new Uint8Array(512), bytes.subarray(0, -1)]) {
      expect((await judge(NAME, joined(bytes, tail))).verdict.kind).toBe("broken");
    }
  });

  test("of many blocks is whole, and broken when cut at any block's end or beside it", async () => {
    const bytes = compress(new Uint8Array(makeNoise("many", 5 * BLOCK_BYTES + 1000)));
    expect((await judge(NAME, bytes)).verdict.kind).toBe("whole");
    for (let at = BLOCK_BYTES; at < bytes.length; at += BLOCK_BYTES) {
      for (let beside = -2; beside <= 30; beside++) {
        expect((await judge(NAME, bytes.subarray(0, at + beside))).verdict.kind).toBe("broken");
      }
    }
  });

  test.each([
    ["a reserved bit", joined(MAGIC, [0x08, 0x58], block("raw", 1, [9], true))],
    ["a reserved block type", frame(block("reserved", 1, [9], true))],
    ["a block longer than 128 KiB", frame(block("raw", BLOCK_BYTES + 1, new Uint8Array(BLOCK_BYTES + 1), true))],
  ])("with %s is broken", async (_, bytes) => {
    expect((await judge(NAME, bytes)).verdict.kind).toBe("broken");
  });

  test("is known to be broken as soon as its structure breaks", async () => {
    const verifier = createVerifier(NAME, {});
    await verifier.feed(frame(block("raw", 3, [1, 2, 3]), block("reserved", 1, [9])));
    expect(verifier.broken()).toContain("reserved type");
  });
});

describe("a zstd file of several frames", () => {
  const parts = [compress(TEXT), SKIPPABLE, Uint8Array.from(EMPTY_SKIPPABLE), compress(NOISE, { checksum: true }), SKIPPABLE];
  const bytes = joined(...parts);

  test("is whole, and cut anywhere but between two frames broken", async () => {
    const ends = new Set(parts.map((_, index) => joined(...parts.slice(0, index + 1)).length));
    for (const length of [...allOffsets(bytes.length), bytes.length]) {
      const { verdict } = await judge(NAME, bytes.subarray(0, length));
      if (verdict.kind !== (ends.has(length) ? "whole" : "broken")) expect.fail(`cut to ${length} it is ${verdict.kind}`);
    }
  });

  test("that is mutated or cut into chunks is judged the same, and never throws", async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.constant(bytes), mutationsOf(bytes)), anyCuts, async (file, cuts) => {
        const asOne = await judge(NAME, file);
        expect(await judge(NAME, file, { cuts })).toEqual(asOne);
      }),
      { numRuns: 500 },
    );
  });
});

test("a zstd file that begins with a skippable frame, as pzstd writes it, is whole", async () => {
  expect((await judge(NAME, joined(SKIPPABLE, compress(TEXT)))).verdict.kind).toBe("whole");
  expect((await judge(NAME, SKIPPABLE.subarray(0, -1))).verdict.kind).toBe("broken");
});

test("zstd under a name that does not say so is not judged: other formats begin with a frame and go on", async () => {
  expect((await judge("boot/initramfs.img", joined(compress(TEXT), NOISE))).verdict.kind).toBe("unknown");
});
