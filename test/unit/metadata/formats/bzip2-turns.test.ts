import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { createByteInput } from "../../../../src/metadata/formats/byte-input.ts";
import { bunzip2 } from "../../../../src/metadata/formats/decompress-bzip2.ts";
import { UNITS_PER_TURN } from "../../../../src/metadata/formats/pace.ts";
import { requireTools } from "../../../support/run-tool.ts";
import { chunked } from "../samples.ts";

/** Bytes of all values in no order, which are the slowest: each symbol is far back in the list of recent ones. */
function noise(length: number): Buffer {
  const parts = Array.from({ length: Math.ceil(length / 32) }, (_, n) => createHash("sha256").update(String(n)).digest());
  return Buffer.concat(parts).subarray(0, length);
}

const CONTENTS: Readonly<Record<string, () => Buffer>> = {
  noise: () => noise(1_500_000),
  "an index": () => Buffer.from(Array.from({ length: 40_000 }, (_, n) => `Package: p${n}\nSize: ${n * 7919}\n\n`).join("")),
  "runs of each length": () => Buffer.concat(Array.from({ length: 600 }, (_, n) => Buffer.alloc(n, n))),
  "one byte for ever": () => Buffer.alloc(20_000_000, 32),
  "a byte": () => Buffer.from("x"),
};

describe.runIf(requireTools("bzip2"))("bzip2 is opened in short turns", () => {
  test.each(Object.entries(CONTENTS))("%s", async (_name, make) => {
    const content = make();
    const packed = execFileSync("bzip2", ["-9c"], { input: content, maxBuffer: 2 ** 28 });
    const steps: number[] = [];
    const pace = (units: number) => void steps.push(units);
    const pieces: Uint8Array[] = [];
    for await (const piece of bunzip2(
      createByteInput(chunked(packed, 65_536), () => undefined),
      pace,
    ))
      pieces.push(piece);
    expect(Buffer.concat(pieces).equals(content)).toBe(true);
    // Nothing of it is more than a turn, and all of it is paid for.
    expect(Math.max(...steps)).toBeLessThanOrEqual(2 * UNITS_PER_TURN);
    expect(steps.reduce((sum, units) => sum + units, 0)).toBeGreaterThan(4 * content.length);
  });

  test("a file of thousands of tiny blocks pays for each", async () => {
    const packed = execFileSync("bzip2", ["-9c"], { input: "x" });
    let units = 0;
    const pace = (more: number) => void (units += more);
    const streams = Buffer.concat(Array.from({ length: 900 }, () => packed));
    for await (const piece of bunzip2(
      createByteInput(chunked(streams, 65_536), () => undefined),
      pace,
    ))
      expect(piece).toHaveLength(1);
    expect(units).toBeGreaterThan(900 * 16_000);
  });

  test("any bit of a block that is another is noticed", async () => {
    const packed = execFileSync("bzip2", ["-9c"], { input: noise(500) });
    for (let bit = 32; bit < packed.length * 8; bit += 13) {
      const altered = Buffer.from(packed);
      altered[bit >> 3] = (altered[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7));
      const reading = async (): Promise<number> => {
        let total = 0;
        for await (const piece of bunzip2(
          createByteInput(chunked(altered, 65_536), () => undefined),
          () => undefined,
        ))
          total += piece.length;
        return total;
      };
      // Bits that fill up the last byte, and codes that no group of symbols uses, mean nothing.
      const outcome = await reading().catch((error: Error) => error.name);
      expect([500, "MalformedError"]).toContain(outcome);
    }
  });
});
