import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createVerifier } from "../../../src/verify/create-verifier.ts";
import type { CreateDigest } from "../../../src/verify/digest-ranges.ts";
import { craftHeader, craftRpm, int32, int64, text } from "../../support/crafted-rpm.ts";
import { buildRpm, RPM_TOOLS } from "../../support/packages.ts";
import { makeNoise } from "../../support/fixture.ts";
import { requireTools } from "../../support/run-tool.ts";
import { allOffsets, anyCuts, createNodeDigest, judge, mutationsOf } from "../../support/verifying.ts";

const noise = (length: number): Uint8Array => new Uint8Array(makeNoise("sample", length));

const MIB = 1024 * 1024;
const createDigest = createNodeDigest;

const CRAFTED = {
  "v3, of size and MD5": () => craftRpm({ format: "v3", payload: noise(700) }),
  v4: () => craftRpm({ format: "v4", payload: noise(700) }),
  "v4 with the size as INT64": () => craftRpm({ format: "v4", payload: noise(700), isLong: true }),
  "v6, with the payload's size in the header": () => craftRpm({ format: "v6", payload: noise(700) }),
  "delta, whose header is that of another payload": () => craftRpm({ format: "v3", payload: noise(700), deltaOf: noise(5000) }),
};

describe.each(Object.entries(CRAFTED))("an rpm %s", (_, craft) => {
  const { bytes, headerAt } = craft();

  test("is whole, declares its exact length, and needs no Content-Length for that", async () => {
    for (const contentLength of [{}, { contentLength: bytes.length }]) {
      expect(await judge("a.rpm", bytes, { ...contentLength, createDigest })).toEqual({
        verdict: { kind: "whole" },
        declared: { kind: "exact", bytes: bytes.length },
      });
    }
  });

  test("is broken when cut anywhere, though the length that upstream states fits the cut", async () => {
    for (const length of allOffsets(bytes.length)) {
      const cut = bytes.subarray(0, length);
      expect((await judge("a.rpm", cut)).verdict.kind, `cut to ${length}`).toBe("broken");
      expect((await judge("a.rpm", cut, { contentLength: length })).verdict.kind, `stated and cut to ${length}`).toBe("broken");
    }
  });

  test("is broken when anything follows", async () => {
    expect((await judge("a.rpm", Buffer.concat([bytes, Buffer.of(0)]))).verdict.kind).toBe("broken");
  });

  test("is broken by a flip anywhere behind the signature header", async () => {
    for (const offset of allOffsets(bytes.length).slice(headerAt)) {
      const flipped = bytes.slice();
      flipped[offset]! ^= 0x10;
      expect((await judge("a.rpm", flipped, { createDigest })).verdict.kind, `flip at ${offset}`).toBe("broken");
    }
  });

  test.each([1, 20, 100, 130])("is whole when it comes in chunks of %i bytes", async (size) => {
    const cuts = allOffsets(Math.ceil(bytes.length / size)).map((index) => (index * size) / bytes.length);
    expect((await judge("a.rpm", bytes, { createDigest, cuts })).verdict).toEqual({ kind: "whole" });
  });

  test("is judged the same however it is cut into chunks, and mutated ones neither throw nor differ", async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.constant(bytes), mutationsOf(bytes)), anyCuts, async (file, cuts) => {
        const asOne = await judge("a.rpm", file, { createDigest });
        expect((await judge("a.rpm", file, { createDigest, cuts })).verdict.kind).toBe(asOne.verdict.kind);
      }),
    );
  });
});

describe.runIf(requireTools(...RPM_TOOLS))(`a real rpm (${RPM_TOOLS.join(", ")})`, () => {
  const variants = [
    { payload: "gzip", isSigned: false },
    { payload: "gzip", isSigned: true },
    { payload: "zstd", isSigned: true },
  ] as const;

  test.each(variants)("with $payload payload, signed: $isSigned, is whole and declares its length", async (variant) => {
    const { name, bytes } = await buildRpm(variant);
    expect(await judge(name, bytes, { contentLength: bytes.length, createDigest })).toEqual({
      verdict: { kind: "whole" },
      declared: { kind: "exact", bytes: bytes.length },
    });
  });

  test.each(variants)("with $payload payload, signed: $isSigned, is broken when cut at any offset", async (variant) => {
    const { name, bytes } = await buildRpm(variant);
    for (const length of allOffsets(bytes.length)) {
      const { verdict } = await judge(name, bytes.subarray(0, length), { contentLength: length });
      expect(verdict.kind, `cut to ${length}`).toBe("broken");
    }
  });

  test.each(variants)("with $payload payload, signed: $isSigned, is broken by a flip anywhere in header or payload", async (variant) => {
    const { name, bytes } = await buildRpm(variant);
    const headerAt = Buffer.from(bytes).indexOf(Buffer.from([0x8e, 0xad, 0xe8, 1]), 112);
    for (const offset of allOffsets(bytes.length).slice(headerAt)) {
      const flipped = bytes.slice();
      flipped[offset]! ^= 1;
      expect((await judge(name, flipped, { createDigest })).verdict.kind, `flip at ${offset}`).toBe("broken");
    }
  });

  test("that is mutated or cut into chunks is judged the same, and never throws", async () => {
    const { name, bytes } = await buildRpm({ payload: "zstd", isSigned: true });
    await fc.assert(
      fc.asyncProperty(mutationsOf(bytes), anyCuts, async (file, cuts) => {
        const asOne = await judge(name, file, { createDigest });
        expect((await judge(name, file, { createDigest, cuts })).verdict.kind).toBe(asOne.verdict.kind);
      }),
      { numRuns: 300 },
    );
  });
});

describe("what an rpm says of its length", () => {
  test("contradicts Content-Length as soon as the signature header has come, before any payload", async () => {
    const { bytes, headerAt } = craftRpm({ format: "v4", payload: noise(5000) });
    for (const contentLength of [bytes.length - 1, bytes.length + 1]) {
      const verifier = createVerifier("a.rpm", { contentLength });
      await verifier.feed(bytes.subarray(0, headerAt));
      expect(verifier.broken()).toContain(`${bytes.length} bytes`);
    }
  });

  test("is unknown after 1 MiB when a v6 header is longer than that, and still ends a cut file as broken", async () => {
    const { bytes } = craftRpm({ format: "v6", payload: noise(700), fillerBytes: 2 * MIB });
    const verifier = createVerifier("a.rpm", {});
    await verifier.feed(bytes.subarray(0, MIB - 1));
    expect(verifier.declared()).toEqual({ kind: "pending" });
    await verifier.feed(bytes.subarray(MIB - 1, MIB));
    expect(verifier.declared()).toEqual({ kind: "unknown" });
    await verifier.feed(bytes.subarray(MIB, bytes.length - 1));
    expect((await verifier.finish()).kind).toBe("broken");
  });

  test("is unknown when no tag states it, and then nothing is called whole", async () => {
    const { bytes } = craftRpm({ format: "v4", payload: noise(700), signatureEntries: (usual) => usual.filter(({ tag }) => tag !== 1000) });
    expect(await judge("a.rpm", bytes, { createDigest })).toEqual({ verdict: { kind: "unknown" }, declared: { kind: "unknown" } });
    expect((await judge("a.rpm", bytes.subarray(0, -1), { createDigest })).verdict.kind).toBe("broken");
  });

  test("may need more than 32 bits", async () => {
    const payloadBytes = 5 * 1024 * MIB;
    const { bytes, headerAt } = craftRpm({ format: "v4", payload: noise(10), signatureEntries: () => [int64(270, payloadBytes)] });
    expect((await judge("a.rpm", bytes)).declared).toEqual({ kind: "exact", bytes: headerAt + payloadBytes });
  });

  test("is a lie when it ends inside the header", async () => {
    const { bytes } = craftRpm({ format: "v4", payload: noise(700), signatureEntries: () => [int32(1000, 20)] });
    expect((await judge("a.rpm", bytes)).verdict.kind).toBe("broken");
  });
});

describe("the digests inside an rpm", () => {
  test("condemn a wrong header before the payload has come", async () => {
    const { bytes, payloadAt } = craftRpm({ format: "v4", payload: noise(5000) });
    const flipped = bytes.slice();
    flipped[payloadAt - 1]! ^= 1;
    const verifier = createVerifier("a.rpm", { createDigest });
    await verifier.feed(flipped.subarray(0, payloadAt));
    expect(verifier.broken()).toContain("SHA-256 of the header");
  });

  test.each(["SHA-1 of the header", "MD5 of the header and payload"])("fall back to the %s", async (digest) => {
    const kept = digest.startsWith("SHA-1") ? 269 : 1004;
    const { bytes, payloadAt } = craftRpm({
      format: "v4",
      payload: noise(700),
      signatureEntries: (usual) => usual.filter(({ tag }) => tag === 1000 || tag === kept),
    });
    expect((await judge("a.rpm", bytes, { createDigest })).verdict.kind).toBe("whole");
    const flipped = bytes.slice();
    flipped[payloadAt - 1]! ^= 1;
    expect((await judge("a.rpm", flipped, { createDigest })).verdict).toMatchObject({
      kind: "broken",
      reason: expect.stringContaining(digest),
    });
  });

  test("are not asked for where no digest can be computed: the length alone makes it whole", async () => {
    const { bytes } = craftRpm({ format: "v4", payload: noise(700) });
    const flipped = bytes.slice();
    flipped[bytes.length - 1]! ^= 1;
    expect((await judge("a.rpm", flipped)).verdict.kind).toBe("whole");
  });

  test("are computed as far as they are needed: no MD5 of the payload where SHA-256 covers it", async () => {
    const { bytes, headerAt, payloadAt } = craftRpm({ format: "v4", payload: noise(700) });
    const hashed: Record<string, number> = {};
    const counting: CreateDigest = (algorithm) => {
      const digest = createDigest(algorithm);
      return {
        ...digest,
        update(chunk) {
          hashed[algorithm] = (hashed[algorithm] ?? 0) + chunk.length;
          return digest.update(chunk);
        },
      };
    };
    const verifier = createVerifier("a.rpm", { createDigest: counting });
    await verifier.feed(bytes.subarray(0, payloadAt));
    await verifier.feed(bytes.subarray(payloadAt));
    expect(await verifier.finish()).toEqual({ kind: "whole" });
    expect(hashed["SHA-256"]).toBe(bytes.length - headerAt);
    expect(hashed["MD5"] ?? 0).toBeLessThanOrEqual(payloadAt - headerAt);
  });

  test("of another algorithm or form are left alone", async () => {
    const { bytes } = craftRpm({
      format: "v4",
      payload: noise(700),
      signatureEntries: (usual) => usual.map((entry) => (entry.tag === 273 ? text(273, "ab".repeat(48)) : entry)),
    });
    expect((await judge("a.rpm", bytes, { createDigest })).verdict.kind).toBe("whole");
  });
});

describe("a header that lies", () => {
  const lead = craftRpm({ format: "v4", payload: noise(10) }).bytes.subarray(0, 96);

  test.each([
    ["more entries than rpm allows", 65_537, 16],
    ["more data than rpm allows", 1, 256 * MIB + 1],
    ["no entries", 0, 16],
  ])("with %s is broken as soon as it says so", async (_, entries, dataBytes) => {
    const intro = Buffer.from(craftHeader([]));
    intro.writeUInt32BE(entries, 8);
    intro.writeUInt32BE(dataBytes, 12);
    const verifier = createVerifier("a.rpm", {});
    await verifier.feed(Buffer.concat([lead, intro]));
    expect(verifier.broken()).not.toBeNull();
  });

  test("that puts a value behind its data is broken as soon as it says so", async () => {
    const header = Buffer.from(craftHeader([int32(1000, 700), int32(1001, 1)]));
    header.writeUInt32BE(8, 16 + 8);
    const verifier = createVerifier("a.rpm", {});
    await verifier.feed(Buffer.concat([lead, header.subarray(0, 48)]));
    expect(verifier.broken()).toContain("tag 1000");
  });

  test("whose values overlap yields what stands between their beginnings, never a read backwards", async () => {
    const header = Buffer.from(craftHeader([int64(270, 1), int32(1000, 7000)]));
    // Both values at the INT32, in four bytes of data.
    header.writeUInt32BE(8, 16 + 8);
    const file = Buffer.concat([lead, header, noise(100)]);
    const cuts = allOffsets(file.length).map((offset) => offset / file.length);
    const declared = { kind: "exact", bytes: lead.length + Math.ceil(header.length / 8) * 8 + 7000 };
    expect((await judge("a.rpm", file)).declared).toEqual(declared);
    expect((await judge("a.rpm", file, { cuts })).declared).toEqual(declared);
  });

  test("with all the entries and data that rpm allows is walked in constant memory", async () => {
    const intro = Buffer.from(craftHeader([]));
    intro.writeUInt32BE(65_536, 8);
    intro.writeUInt32BE(256 * MIB, 12);
    const entry = craftHeader([int32(1000, 1)]).subarray(16, 32);
    const verifier = createVerifier("a.rpm", {});
    await verifier.feed(Buffer.concat([lead, intro]));
    await verifier.feed(Buffer.concat(Array.from({ length: 65_536 }, () => entry)));
    const chunk = new Uint8Array(MIB);
    const before = process.memoryUsage().arrayBuffers;
    for (let count = 0; count < 256; count++) await verifier.feed(chunk);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * MIB);
    expect((await verifier.finish()).kind).toBe("broken");
  });

  test("whose values overlap or lie outside its data neither throws nor reads backwards", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.constantFrom(1000, 270, 273, 269, 1004), fc.nat(120)), { minLength: 1, maxLength: 8 }),
        anyCuts,
        async (entries, cuts) => {
          const { bytes } = craftRpm({ format: "v4", payload: noise(100) });
          const types: Record<number, number> = { 1000: 4, 270: 5, 273: 6, 269: 6, 1004: 7 };
          const header = Buffer.from(craftHeader(entries.map(([tag]) => ({ tag, type: types[tag]!, data: noise(12) }))));
          for (const [index, [, offset]] of entries.entries()) header.writeUInt32BE(offset, 16 + index * 16 + 8);
          const file = Buffer.concat([lead, header, bytes.subarray(96)]);
          const asOne = await judge("a.rpm", file, { createDigest });
          expect((await judge("a.rpm", file, { createDigest, cuts })).verdict.kind).toBe(asOne.verdict.kind);
        },
      ),
    );
  });
});
