import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseRequestCacheControl } from "../../../src/http/cache-control.ts";

describe("parseRequestCacheControl: RFC 9111 §5.2", () => {
  it.each([
    [null, false, undefined],
    ["", false, undefined],
    ["no-cache", true, undefined],
    ["max-age=0", false, 0],
    ["max-age=3600, no-cache", true, 3600],
    ["No-Cache, MAX-AGE=5", true, 5],
    ["no-store,max-age=7", false, 7],
    ['max-age="10"', false, 10],
    [",, no-cache ,", true, undefined],
    ['no-cache="set-cookie"', true, undefined],
    ['ext="no-cache, max-age=1"', false, undefined],
    ['ext="\\", no-cache", max-age=1', false, 1],
    ["no-cached", false, undefined],
    ["x-no-cache", false, undefined],
    ["max-age", false, undefined],
    ["max-age=", false, undefined],
    ["max-age=-1", false, undefined],
    ["max-age=1.5", false, undefined],
    ["max-age=5, max-age=9", false, 5],
    ["max-age=99999999999999999999", false, Number.MAX_SAFE_INTEGER],
  ])("reads %s as no-cache %s, max-age %s", (header, noCache, maxAgeSeconds) => {
    expect(parseRequestCacheControl(header)).toEqual({ noCache, maxAgeSeconds });
  });

  it("never throws, and gives a whole number of seconds or none", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.array(fc.constantFrom("max-age", "=", '"', ",", "\\", "no-cache", "7", " ")).map((pieces) => pieces.join("")),
    );
    fc.assert(
      fc.property(text, (header) => {
        const { maxAgeSeconds } = parseRequestCacheControl(header);
        expect(maxAgeSeconds === undefined || Number.isSafeInteger(maxAgeSeconds)).toBe(true);
      }),
    );
  });
});
