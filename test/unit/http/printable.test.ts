import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { printable, printableLines } from "../../../src/http/printable.ts";

// oxlint-disable-next-line no-control-regex -- these are what it looks for
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]/;

describe("a text that leaves for a terminal", () => {
  it.each([
    ["an escape sequence", "\u001b[2J", String.raw`\u001b[2J`],
    ["the same in C1", "\u009b2J", String.raw`\u009b2J`],
    ["a line end", "a\nb\r", String.raw`a\u000ab\u000d`],
    ["other ends of lines", "a\u2028b\u2029c\u0085", String.raw`a\u2028b\u2029c\u0085`],
    ["DEL", "a\u007f", String.raw`a\u007f`],
    ["a text turned around", "a\u202egpj.exe\u2066\u200f", String.raw`a\u202egpj.exe\u2066\u200f`],
    ["half a pair", "a\ud83d!", String.raw`a\ud83d!`],
    ["an invisible tag", "a\u{e0041}", String.raw`a\udb40\udc41`],
  ])("shows %s", (_name, text, shown) => {
    expect(printable(text)).toBe(shown);
  });

  it("is left as it is where it can be seen", () => {
    const text = "/pool/ä/日本語_1.0~rc1+b2.deb – 100 % «ja» 🚀 ← https://one.example/";
    expect(printable(text)).toBe(text);
  });

  it("keeps line ends and tabs where it has several lines", () => {
    expect(printableLines("a\n\tb\u001b\r\n")).toBe("a\n\tb\\u001b\\u000d\n");
  });

  it("holds nothing that a terminal obeys, whatever it was, and is the same when it is escaped again", () => {
    const any = fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)) });
    fc.assert(
      fc.property(any, (text) => {
        const shown = printable(text);
        expect(shown.replaceAll(/[\ud800-\udbff][\udc00-\udfff]/g, "")).not.toMatch(UNSAFE);
        expect(printable(shown)).toBe(shown);
      }),
    );
  });

  it("stays the same JSON", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.string({ unit: "binary" }), (value, text) => {
        const both = { value, text: `\u009b\u202e${text}` };
        expect(JSON.parse(printable(JSON.stringify(both)))).toEqual(JSON.parse(JSON.stringify(both)));
      }),
    );
  });
});
