import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32, deflateRawSync, gzipSync, zstdCompressSync } from "node:zlib";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decompress } from "../../../../src/metadata/formats/decompress.ts";
import { UNITS_PER_TURN } from "../../../../src/metadata/formats/pace.ts";
import { MalformedError } from "../../../../src/metadata/formats/parsed-root.ts";
import { DECODERS } from "../../../support/decompressing.ts";
import { makeNoise } from "../../../support/fixture.ts";
import { requireTools } from "../../../support/run-tool.ts";
import { mutationsOf } from "../../../support/verifying.ts";
import { chunked } from "../samples.ts";

const MIB = 1024 * 1024;
/** 1.5 MB, as an index is: longer than one block of bzip2, and too much for any one buffer. */
const TEXT = Buffer.from(
  Array.from(
    { length: 12_000 },
    (_, n) => `Package: p${n}\nFilename: pool/p${n}.deb\nSHA256: ${crc32(`${n}`).toString(16).repeat(8)}\n\n`,
  ).join(""),
);

async function open(packed: Uint8Array, chunkBytes = 65_536, maxBytes = 1e9): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of decompress(chunked(packed, chunkBytes), { ...DECODERS, maxBytes })) parts.push(new Uint8Array(part));
  return Buffer.concat(parts);
}

/** Opens to the end, and counts what is seen of it: units are bytes that come in or out between two breaths. */
async function measure(
  packed: Uint8Array,
  maxBytes = 1024 ** 3,
): Promise<{ total: number; breaths: number; longest: number; error: unknown }> {
  let [total, breaths, since, longest] = [0, 0, 0, 0];
  const breathe = async (): Promise<void> => {
    breaths++;
    since = 0;
  };
  const count = (bytes: number): void => {
    since += bytes;
    longest = Math.max(longest, since);
  };
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunked(packed, 65_536)) {
      count(chunk.length);
      yield chunk;
    }
  }
  try {
    for await (const part of decompress(counted(), { ...DECODERS, breathe, maxBytes })) {
      count(part.length);
      total += part.length;
    }
    return { total, breaths, longest, error: null };
  } catch (error) {
    return { total, breaths, longest, error };
  }
}

describe.runIf(requireTools("xz", "bzip2", "zstd", "pzstd", "gzip"))("what real tools packed is opened", () => {
  const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-packed-"));
  const [all, half, rest] = ["all", "half", "rest"].map((name) => join(folder, name)) as [string, string, string];
  beforeAll(() => {
    writeFileSync(all, TEXT);
    writeFileSync(half, TEXT.subarray(0, 700_001));
    writeFileSync(rest, TEXT.subarray(700_001));
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  const pack = (command: string, ...args: readonly string[]): Buffer => execFileSync(command, args, { maxBuffer: 64 * MIB });
  const both = (command: string, ...args: readonly string[]): Buffer[] => [pack(command, ...args, half), pack(command, ...args, rest)];
  const skippable = Buffer.from("50 2a 4d 18 05 00 00 00 01 02 03 04 05".replaceAll(" ", ""), "hex");

  test.each<[string, () => Buffer]>([
    ["gzip -9, with the file's name", () => pack("gzip", "-9c", all)],
    ["gzip, two members, as apk and cat put them together", () => Buffer.concat(both("gzip", "-c"))],
    ["gzip with zeros behind it", () => Buffer.concat([pack("gzip", "-c", all), Buffer.alloc(5000)])],
    ["gzip with other bytes behind it", () => Buffer.concat([...both("gzip", "-c"), Buffer.from("garbage\x1f")])],
    ["gzip with half a magic behind it", () => Buffer.concat([pack("gzip", "-c", all), Buffer.of(0x1f, 0x8b)])],
    ["bgzip's form: a member and an extra field for each 64 KB", () => Buffer.concat(blocks(TEXT, 65_280).map(bgzip))],
    ["gzip with each optional field of its header", () => fullHeader(TEXT)],
    ["xz -9e", () => pack("xz", "-9ec", all)],
    ["xz in blocks", () => pack("xz", "-T2", "--block-size=100000", "-c", all)],
    ...["none", "crc32", "crc64"].map((check): [string, () => Buffer] => [`xz with ${check}`, () => pack("xz", `-C${check}`, "-c", all)]),
    ["xz, two streams with zeros between and behind them", () => Buffer.concat(both("xz", "-c").flatMap((one) => [one, Buffer.alloc(8)]))],
    ["bzip2 -9", () => pack("bzip2", "-9c", all)],
    ["bzip2 -1", () => pack("bzip2", "-1c", all)],
    ["bzip2, two streams, as pbzip2 writes them", () => Buffer.concat(both("bzip2", "-c"))],
    ["bzip2 with zeros behind it", () => Buffer.concat([pack("bzip2", "-c", all), Buffer.alloc(100)])],
    ["zstd -19", () => pack("zstd", "-19", "-qc", all)],
    ["zstd -T2 --long", () => pack("zstd", "-T2", "--long=26", "-qc", all)],
    [
      "zstd, two frames, a skippable one before, between and behind",
      () => Buffer.concat([skippable, ...both("zstd", "-qc").flatMap((one) => [one, skippable])]),
    ],
    ["pzstd", () => pack("pzstd", "-q", "-p", "2", "-c", all)],
    ["nothing, in gzip, xz, bzip2 and zstd, before the rest", () => Buffer.concat([gzipSync(""), pack("gzip", "-c", all)])],
    ["not at all", () => TEXT],
  ])("%s", async (_name, make) => {
    const packed = make();
    for (const chunkBytes of [1009, 1e7]) expect((await open(packed, chunkBytes)).equals(TEXT)).toBe(true);
  });

  test.each(["--check=sha256", "--x86"])("xz with %s, which the decoder does not know and no index has, says so", async (option) => {
    await expect(open(pack("xz", option, "--lzma2", "-c", all))).rejects.toThrow("a filter, a check or a field that is not known here");
  });

  test.each(["gzip", "xz", "bzip2", "zstd"])("an empty file that %s packed is empty", async (command) => {
    writeFileSync(join(folder, "empty"), "");
    expect(await open(pack(command, "-c", join(folder, "empty")))).toHaveLength(0);
  });

  describe.each(["gzip", "xz", "bzip2", "zstd"])("what %s packed", (command) => {
    const packed = (): Buffer => {
      writeFileSync(join(folder, "short"), TEXT.subarray(0, 3000));
      return pack(command, "-c", join(folder, "short"));
    };

    test("is opened byte by byte", async () => {
      expect((await open(packed(), 1)).equals(TEXT.subarray(0, 3000))).toBe(true);
    });

    test("and is cut, at whichever byte, is malformed", async () => {
      const whole = packed();
      for (let length = 6; length < whole.length; length += 7) {
        await expect(open(whole.subarray(0, length)), `${length} bytes`).rejects.toBeInstanceOf(MalformedError);
      }
    });

    test("and is changed, however, gives its own bytes or is malformed", async () => {
      await fc.assert(
        fc.asyncProperty(mutationsOf(packed()), fc.integer({ min: 1, max: 500 }), async (bytes, chunkBytes) => {
          await open(bytes, chunkBytes, 1e6).catch((error: unknown) => expect(error).toBeInstanceOf(MalformedError));
        }),
        { numRuns: 200 },
      );
    });

    test("passes on what its reader throws, and ends the reading where its own reader leaves", async () => {
      const whole = packed();
      let isEnded = false;
      async function* failing(): AsyncGenerator<Uint8Array> {
        try {
          yield whole.subarray(0, 100);
          throw new Error("the store is gone");
        } finally {
          isEnded = true;
        }
      }
      const read = async (): Promise<void> => {
        for await (const _part of decompress(failing(), { ...DECODERS, maxBytes: 1e9 }));
      };
      await expect(read()).rejects.toThrow("the store is gone");
      isEnded = false;
      async function* endless(): AsyncGenerator<Uint8Array> {
        try {
          for (;;) yield whole;
        } finally {
          isEnded = true;
        }
      }
      for await (const _part of decompress(endless(), { ...DECODERS, maxBytes: 1e9 })) break;
      expect(isEnded).toBe(true);
    });
  });

  test.each<[string, () => Buffer]>([
    ["gzip", () => gzipSync(Buffer.alloc(300 * MIB))],
    ["xz", () => execFileSync("xz", ["-0c"], { input: Buffer.alloc(60 * MIB) })],
    ["zstd", () => zstdCompressSync(Buffer.alloc(300 * MIB))],
    ["bzip2", () => execFileSync("bzip2", ["-c"], { input: Buffer.alloc(60 * MIB) })],
  ])("a bomb of %s ends long before it is open, in short turns", async (_name, make) => {
    const bomb = make();
    const { total, breaths, longest, error } = await measure(bomb);
    expect(error).toBeInstanceOf(MalformedError);
    expect(total).toBeLessThan(200 * bomb.length + 33 * MIB);
    expect(longest).toBeLessThanOrEqual(UNITS_PER_TURN + 128 * 1024);
    expect(breaths).toBeGreaterThanOrEqual(Math.floor(total / UNITS_PER_TURN));
  });

  test.each<[string, () => Buffer]>([
    ["empty members of gzip", () => Buffer.concat(Array.from({ length: 30_000 }, () => gzipSync("")))],
    ["empty frames of zstd", () => Buffer.concat(Array.from({ length: 30_000 }, () => zstdCompressSync("")))],
    ["skippable frames of zstd", () => Buffer.concat(Array.from({ length: 100_000 }, () => skippable))],
    ["empty streams of bzip2", () => Buffer.concat(Array.from({ length: 30_000 }, () => execEmpty("bzip2")))],
  ])("thousands of %s end at a limit", async (_name, make) => {
    const { error } = await measure(make());
    expect(String(error)).toContain("too many");
  });
});

test("padding of megabytes is passed over in short turns", async () => {
  const { total, breaths, longest, error } = await measure(Buffer.concat([gzipSync("x"), Buffer.alloc(16 * MIB)]));
  expect({ total, error }).toEqual({ total: 1, error: null });
  expect(longest).toBeLessThanOrEqual(UNITS_PER_TURN + 128 * 1024);
  expect(breaths).toBeLessThan(100);
});

test("what is longer than the root says ends there", async () => {
  const { total, error } = await measure(gzipSync(makeNoise("long", MIB)), 100_000);
  expect(String(error)).toContain("more than 100000 bytes once decompressed");
  expect(total).toBeLessThanOrEqual(100_000);
});

const empty = new Map<string, Buffer>();
function execEmpty(command: string): Buffer {
  const known = empty.get(command) ?? execFileSync(command, ["-c"], { input: "" });
  empty.set(command, known);
  return known;
}

function blocks(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, n) => bytes.subarray(n * size, (n + 1) * size));
}

function trailer(bytes: Buffer): Buffer {
  const end = Buffer.alloc(8);
  end.writeUInt32LE(crc32(bytes), 0);
  end.writeUInt32LE(bytes.length, 4);
  return end;
}

function bgzip(block: Buffer): Buffer {
  const data = deflateRawSync(block);
  const header = Buffer.from("1f8b08040000000000ff060042430200ffff", "hex");
  header.writeUInt16LE(header.length + data.length + 8 - 1, 16);
  return Buffer.concat([header, data, trailer(block)]);
}

function fullHeader(bytes: Buffer): Buffer {
  const header = Buffer.from("1f8b081e0000000000ff", "hex");
  const fields = Buffer.concat([Buffer.from([3, 0, 1, 2, 3]), Buffer.from("name\0comment\0"), Buffer.from([0, 0])]);
  return Buffer.concat([header, fields, deflateRawSync(bytes), trailer(bytes)]);
}
