import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_RANGES, parseRange, resolveRanges } from "../../../src/http/byte-ranges.ts";

describe("parseRange: RFC 9110 §14.1.1 and §14.2", () => {
  it.each([
    ["bytes=0-499", [{ first: 0, last: 499 }]],
    ["bytes=9500-", [{ first: 9500 }]],
    ["bytes=-500", [{ suffix: 500 }]],
    ["bytes=-0", [{ suffix: 0 }]],
    ["bytes=0-0,-1", [{ first: 0, last: 0 }, { suffix: 1 }]],
    ["bytes= 0-999, 4500-5499,\t-1000", [{ first: 0, last: 999 }, { first: 4500, last: 5499 }, { suffix: 1000 }]],
    [
      "bytes=500-700,601-999",
      [
        { first: 500, last: 700 },
        { first: 601, last: 999 },
      ],
    ],
    ["bytes=007-010", [{ first: 7, last: 10 }]],
  ])("takes %s as its ranges in request order", (header, ranges) => {
    expect(parseRange(header)).toEqual(ranges);
  });

  it("takes the unit in any case, as all range unit names are case-insensitive", () => {
    expect(parseRange("Bytes=1-2")).toEqual([{ first: 1, last: 2 }]);
  });

  it("passes over empty list elements", () => {
    expect(parseRange("bytes=,1-2,, 3-4 ,")).toEqual([
      { first: 1, last: 2 },
      { first: 3, last: 4 },
    ]);
  });

  it.each([
    [null],
    [""],
    ["bytes"],
    ["bytes="],
    ["bytes=,"],
    ["bytes=-"],
    ["bytes=a-b"],
    ["bytes=1"],
    ["bytes=1-2-3"],
    ["bytes=+1-2"],
    ["bytes=1 - 2"],
    ["bytes=0x1-2"],
    ["bytes=1-2;3-4"],
    ["bytes =1-2"],
    ["items=0-5"],
    ["0-5"],
  ])("ignores %s: absent, another unit or no ranges-specifier", (header) => {
    expect(parseRange(header)).toBeNull();
  });

  it("ignores the whole header when one int-range ends before it begins", () => {
    expect(parseRange("bytes=0-1,5-4")).toBeNull();
  });

  it("takes the 256 ranges of zchunk and more, up to the cap, and ignores a header past it", () => {
    const header = (count: number) => `bytes=${Array.from({ length: count }, (_, i) => `${i * 2}-${i * 2}`).join(",")}`;
    expect(parseRange(header(256))).toHaveLength(256);
    expect(parseRange(header(MAX_RANGES))).toHaveLength(MAX_RANGES);
    expect(parseRange(header(MAX_RANGES + 1))).toBeNull();
  });

  it("never answers a part of a set only: empty elements count towards the cap", () => {
    expect(parseRange(`bytes=0-0${",".repeat(MAX_RANGES)}1-1`)).toBeNull();
  });

  it("takes positions that no number holds as far past the end", () => {
    expect(resolveRanges(parseRange(`bytes=0-${"9".repeat(400)}`) ?? [], 10)).toEqual([{ offset: 0, length: 10 }]);
    expect(resolveRanges(parseRange(`bytes=-${"9".repeat(400)}`) ?? [], 10)).toEqual([{ offset: 0, length: 10 }]);
    expect(resolveRanges(parseRange(`bytes=${"9".repeat(400)}-`) ?? [], 10)).toEqual([]);
  });
});

describe("resolveRanges: RFC 9110 §14.1.2", () => {
  const resolve = (header: string, size: number) => resolveRanges(parseRange(header) ?? [], size);

  it("takes a last position at or past the end, or none, as the end", () => {
    expect(resolve("bytes=5-9", 10)).toEqual([{ offset: 5, length: 5 }]);
    expect(resolve("bytes=5-10", 10)).toEqual([{ offset: 5, length: 5 }]);
    expect(resolve("bytes=5-", 10)).toEqual([{ offset: 5, length: 5 }]);
  });

  it("takes a suffix longer than the representation as all of it", () => {
    expect(resolve("bytes=-3", 10)).toEqual([{ offset: 7, length: 3 }]);
    expect(resolve("bytes=-11", 10)).toEqual([{ offset: 0, length: 10 }]);
  });

  it("finds a first position at the end, and a suffix of nothing, unsatisfiable", () => {
    expect(resolve("bytes=10-", 10)).toEqual([]);
    expect(resolve("bytes=10-12,-0", 10)).toEqual([]);
  });

  it("leaves out what is unsatisfiable, keeps the order, and merges nothing", () => {
    expect(resolve("bytes=8-9,99-,0-3,2-5,4-4", 10)).toEqual([
      { offset: 8, length: 2 },
      { offset: 0, length: 4 },
      { offset: 2, length: 4 },
      { offset: 4, length: 1 },
    ]);
  });

  it("gives spans of at least one byte that lie inside the size, for any header", () => {
    const piece = fc.oneof(fc.constantFrom("bytes=", "-", ",", " ", "0", "9", "99999999999999999999"), fc.nat(40).map(String), fc.string());
    const header = fc.oneof(
      fc.array(piece).map((pieces) => `bytes=${pieces.join("")}`),
      fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join("")),
      fc
        .array(fc.tuple(fc.option(fc.nat(40)), fc.option(fc.nat(40))), { minLength: 1 })
        .map((pairs) => `bytes=${pairs.map(([a, b]) => `${a ?? ""}-${b ?? ""}`).join(",")}`),
    );
    fc.assert(
      fc.property(header, fc.oneof(fc.nat(40), fc.maxSafeNat()), (text, size) => {
        for (const { offset, length } of resolve(text, size)) {
          expect(offset).toBeGreaterThanOrEqual(0);
          expect(length).toBeGreaterThanOrEqual(1);
          expect(offset + length).toBeLessThanOrEqual(size);
        }
      }),
    );
  });
});
