import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatContentRange, formatUnsatisfiedRange, parseContentRange } from "../../../src/http/content-range.ts";

describe("parseContentRange: RFC 9110 §14.4", () => {
  it.each([
    ["bytes 42-1233/1234", { kind: "range", first: 42, last: 1233, size: 1234 }],
    ["bytes 42-1233/*", { kind: "range", first: 42, last: 1233, size: undefined }],
    ["Bytes 0-0/1", { kind: "range", first: 0, last: 0, size: 1 }],
    ["bytes */1234", { kind: "unsatisfied", size: 1234 }],
    ["bytes */0", { kind: "unsatisfied", size: 0 }],
  ])("takes %s", (header, expected) => {
    expect(parseContentRange(header)).toEqual(expected);
  });

  it.each([
    [null],
    [""],
    ["bytes"],
    ["bytes */*"],
    ["bytes 5-4/10"],
    ["bytes 0-10/10"],
    ["bytes 0-/10"],
    ["bytes -5/10"],
    ["bytes=0-4/10"],
    ["bytes 0-4"],
    ["items 0-4/10"],
    ["bytes 0-4/10, bytes 5-6/10"],
    ["bytes 0-4/99999999999999999999"],
    ["bytes 0-99999999999999999999/*"],
  ])("refuses %s: malformed, contradictory, or not to be held in a number", (header) => {
    expect(parseContentRange(header)).toBeNull();
  });

  it("never throws", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => void parseContentRange(text)));
  });
});

describe("formatContentRange", () => {
  it("names first and last position, both inclusive, and the total", () => {
    expect(formatContentRange({ offset: 42, length: 1192 }, 1234)).toBe("bytes 42-1233/1234");
    expect(formatUnsatisfiedRange(1234)).toBe("bytes */1234");
  });

  it("is read back as what was formatted", () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 2 ** 40 }), fc.nat(), (offset, length, rest) => {
        const size = offset + length + rest;
        expect(parseContentRange(formatContentRange({ offset, length }, size))).toEqual({
          kind: "range",
          first: offset,
          last: offset + length - 1,
          size,
        });
      }),
    );
  });
});
