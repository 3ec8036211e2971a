import fc from "fast-check";
import { expect, test } from "vitest";
import { COMPARED_HEAD_BYTES, COMPARED_TAIL_BYTES, agreesWith, createEvidence } from "../../../src/upstream/evidence.ts";

const file = Uint8Array.from({ length: 600_000 }, (_, at) => (at * 31 + (at >> 8)) & 255);
const known = async (from: number, to: number) => file.slice(from, to);

test("the head and the last 64 KiB delivered can be read back, however the bytes were cut", async () => {
  const cuts = fc.array(fc.integer({ min: 1, max: 150_000 }), { minLength: 1, maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(cuts, async (lengths) => {
      const evidence = createEvidence(0, file.length, undefined);
      let position = 0;
      for (const length of lengths) {
        const chunk = file.slice(position, position + length);
        evidence.add(chunk);
        position += chunk.length;
      }
      const head = Math.min(position, COMPARED_HEAD_BYTES);
      const tail = Math.max(0, position - COMPARED_TAIL_BYTES);
      expect(Buffer.compare((await evidence.read(0, head))!, file.subarray(0, head))).toBe(0);
      expect(Buffer.compare((await evidence.read(tail, position))!, file.subarray(tail, position))).toBe(0);
    }),
    { numRuns: 50 },
  );
});

test("bytes before the first delivered one come from what the caller knows, else are unknown", async () => {
  const alone = createEvidence(300_000, undefined, undefined);
  const helped = createEvidence(300_000, undefined, known);
  for (const evidence of [alone, helped]) evidence.add(file.slice(300_000, 310_000));
  expect(await alone.read(250_000, 310_000)).toBeNull();
  expect(await alone.read(0, COMPARED_HEAD_BYTES)).toBeNull();
  expect(await helped.read(250_000, 310_000)).toEqual(file.slice(250_000, 310_000));
  expect(await helped.read(0, COMPARED_HEAD_BYTES)).toEqual(file.slice(0, COMPARED_HEAD_BYTES));
});

test("a chunk agrees only if each byte within a region is equal", () => {
  const regions = [{ from: 4, bytes: Uint8Array.of(1, 2, 3) }];
  expect(agreesWith(regions, 0, Uint8Array.of(9, 9, 9, 9, 1, 2))).toBe(true);
  expect(agreesWith(regions, 6, Uint8Array.of(3, 9))).toBe(true);
  expect(agreesWith(regions, 6, Uint8Array.of(4, 9))).toBe(false);
  expect(agreesWith(regions, 7, Uint8Array.of(9))).toBe(true);
});
