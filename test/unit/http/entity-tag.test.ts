import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatEntityTag, isStrongMatch, isWeakMatch, parseEntityTag, parseEntityTags } from "../../../src/http/entity-tag.ts";

const strong = (opaque: string) => ({ weak: false, opaque });
const weak = (opaque: string) => ({ weak: true, opaque });
const opaqueText = fc.string({
  unit: fc
    .integer({ min: 0x21, max: 0xff })
    .filter((code) => code !== 0x22 && code !== 0x7f)
    .map((code) => String.fromCharCode(code)),
});
const entityTag = fc.record({ weak: fc.boolean(), opaque: opaqueText });

describe("parseEntityTag: RFC 9110 §8.8.3", () => {
  it.each([
    ['"xyzzy"', strong("xyzzy")],
    ['W/"xyzzy"', weak("xyzzy")],
    ['""', strong("")],
    ['"a,b"', strong("a,b")],
    ['"a\\b"', strong("a\\b")],
  ])("takes %s", (text, tag) => {
    expect(parseEntityTag(text)).toEqual(tag);
  });

  it.each([
    [null],
    [undefined],
    [""],
    ["xyzzy"],
    ["*"],
    ['w/"x"'],
    ['W/ "x"'],
    ['"x'],
    ['x"'],
    ['"a b"'],
    ['"a","b"'],
    ['"a"b"'],
    ["Sun, 06 Nov 1994 08:49:37 GMT"],
  ])("refuses %s", (text) => {
    expect(parseEntityTag(text)).toBeNull();
  });

  it("reads back what it formats", () => {
    fc.assert(
      fc.property(entityTag, (tag) => {
        expect(parseEntityTag(formatEntityTag(tag))).toEqual(tag);
      }),
    );
  });
});

describe("parseEntityTags: RFC 9110 §13.1.1, §13.1.2", () => {
  it.each([
    ["*", "*"],
    ['"xyzzy"', [strong("xyzzy")]],
    ['"xyzzy", "r2d2xxxx", W/"c3piozzzz"', [strong("xyzzy"), strong("r2d2xxxx"), weak("c3piozzzz")]],
    ['"a,b","c"', [strong("a,b"), strong("c")]],
    [', "a",,\t"b" ,', [strong("a"), strong("b")]],
  ])("takes %s", (text, tags) => {
    expect(parseEntityTags(text)).toEqual(tags);
  });

  it.each([[""], ["a"], ['"a" "b"'], ['"a", b'], ['"a", *'], ['"a", "b'], ["**"]])("finds no tag in the malformed %s", (text) => {
    expect(parseEntityTags(text)).toEqual([]);
  });

  it("reads back any list", () => {
    fc.assert(
      fc.property(fc.array(entityTag, { minLength: 1 }), fc.constantFrom(",", ", ", " ,\t"), (tags, comma) => {
        expect(parseEntityTags(tags.map(formatEntityTag).join(comma))).toEqual(tags);
      }),
    );
  });

  it("never throws, and takes no time that grows with the square of the length", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => void parseEntityTags(text)));
    for (const text of [" ".repeat(1e6) + "x", '"'.repeat(1e6), ",".repeat(1e6), 'W/"'.repeat(3e5), '"a" '.repeat(3e5)]) {
      parseEntityTags(text);
    }
  });
});

describe("comparison: the table of RFC 9110 §8.8.3.2", () => {
  it.each([
    [weak("1"), weak("1"), false, true],
    [weak("1"), weak("2"), false, false],
    [weak("1"), strong("1"), false, true],
    [strong("1"), strong("1"), true, true],
  ])("%o and %o: strong %s, weak %s", (a, b, isStrong, isWeak) => {
    expect(isStrongMatch(a, b)).toBe(isStrong);
    expect(isWeakMatch(a, b)).toBe(isWeak);
  });
});
