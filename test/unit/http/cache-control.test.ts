import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { asksAnew, hasNoCache } from "../../../src/http/cache-control.ts";

describe("hasNoCache: RFC 9111 §5.2.1.4", () => {
  it.each([
    [null, false],
    ["", false],
    ["no-cache", true],
    ["max-age=0", false],
    ["max-age=3600, no-cache", true],
    ["No-Cache, MAX-AGE=5", true],
    ["no-store,max-age=7", false],
    ['max-age="10"', false],
    [",, no-cache ,", true],
    ['no-cache="set-cookie"', true],
    ['ext="no-cache, max-age=1"', false],
    ['ext="\\", no-cache", max-age=1', false],
    ["no-cached", false],
    ["x-no-cache", false],
    ["max-age", false],
    ["max-age=", false],
    ["max-age=-1", false],
    ["max-age=1.5", false],
    ["max-age=5, max-age=9", false],
    ["max-age=99999999999999999999", false],
  ])("reads %s as %s", (header, noCache) => {
    expect(hasNoCache(header)).toBe(noCache);
  });

  it("finds it wherever it stands among other directives, and only there", () => {
    const other = fc.constantFrom("max-age=7", "no-store", 'ext="no-cache"', 'ext="\\", no-cache"', "no-cached", "", " ");
    fc.assert(
      fc.property(fc.array(other), fc.array(other), (before, after) => {
        expect(hasNoCache([...before, "no-cache", ...after].join(","))).toBe(true);
        expect(hasNoCache([...before, ...after].join(","))).toBe(false);
      }),
    );
  });

  it("never throws", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.array(fc.constantFrom("max-age", "=", '"', ",", "\\", "no-cache", "7", " ")).map((pieces) => pieces.join("")),
    );
    fc.assert(fc.property(text, (header) => typeof hasNoCache(header) === "boolean"));
  });
});

it.each([
  [{}, false],
  [{ "cache-control": "no-cache" }, true],
  [{ pragma: "no-cache" }, true],
  [{ "cache-control": "max-age=0", pragma: "no-cache" }, false],
  [{ "cache-control": "max-age=0" }, false],
])("a client that sends %j asks past every cache: %s", (headers, is) => {
  expect(asksAnew(new Headers(headers as Record<string, string>))).toBe(is);
});
