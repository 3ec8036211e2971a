import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { contentTypeOf, isHtmlBody, isPageInPlaceOf } from "../../../src/verify/html.ts";
import { makeNoise } from "../../support/fixture.ts";

const noise = (length: number): Uint8Array => new Uint8Array(makeNoise("sample", length));

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("a page of HTML is known", () => {
  test.each([
    ["by its doctype", "<!DOCTYPE html><title>404</title>"],
    ["by an old doctype", '<!doctype HTML PUBLIC "-//W3C//DTD HTML 4.01//EN">'],
    ["by its root", "<html>\n<head>"],
    ["by a root with attributes", '<HTML lang="en">'],
    ["without a root", "<head><title>Moved</title>"],
    ["after white space", "\r\n\t  <html>"],
    ["after a BOM", "\u{feff}<!doctype html>"],
    ["after a BOM and white space", "\u{feff}\n<html>"],
    ["after comments", "<!-- served by x -->\n<!-- > -- -->\n<!doctype html>"],
    [
      "after an XML declaration (XHTML)",
      '<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN">',
    ],
  ])("%s, whatever its type says", (_, page) => {
    for (const type of [null, undefined, "text/html; charset=utf-8", "application/octet-stream", "application/x-rpm"]) {
      expect(isHtmlBody(bytesOf(page), type)).toBe(true);
    }
  });

  test.each([
    "<h1>Not Found</h1>",
    "<title>Sign in</title>",
    "<script>location='/login'</script>",
    "<center>503</center>",
    `<!-- ${"x".repeat(2000)}`,
  ])("by a fragment under the type of HTML alone: %s", (fragment) => {
    expect(isHtmlBody(bytesOf(fragment), "text/html")).toBe(true);
    expect(isHtmlBody(bytesOf(fragment), "Text/HTML; charset=iso-8859-1")).toBe(true);
    expect(isHtmlBody(bytesOf(fragment), "application/octet-stream")).toBe(false);
  });
});

describe("no page of HTML is", () => {
  test.each([
    ["XML", '<?xml version="1.0"?>\n<repomd xmlns="http://example.com/repo">'],
    ["an XML element whose name begins like a tag", "<htmlish>"],
    ["an SVG", '<?xml version="1.0"?><!DOCTYPE svg PUBLIC "x" "y"><svg>'],
    ["text that speaks of HTML", "Format: 3.0\nDescription: turns <html> into text"],
    ["a source control file", "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nFormat: 3.0 (quilt)"],
    ["text", "Not found\n"],
    ["nothing", ""],
    ["a deb", "!<arch>\ndebian-binary   "],
  ])("%s, even under the type of HTML", (_, text) => {
    for (const type of [null, "text/html"]) expect(isHtmlBody(bytesOf(text), type)).toBe(false);
  });

  test.each([
    ["gzip", [0x1f, 0x8b, 8, 0]],
    ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]],
    ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
    ["rpm", [0xed, 0xab, 0xee, 0xdb, 3, 0]],
  ])("%s that a server names text/html", (_, magic) => {
    expect(isHtmlBody(Uint8Array.of(...magic, ...noise(500), ...bytesOf("<html>")), "text/html")).toBe(false);
  });
});

describe("a page in place of a file", () => {
  const page = bytesOf("<!doctype html><html>log in</html>");
  test.each(["pool/a.deb", "a.tar.gz", "dists/a/InRelease", "repodata/repomd.xml", "a.htm.gz", "html"])(
    "is one under the name %s",
    (path) => {
      expect(isPageInPlaceOf(path, page, null)).toBe(true);
      expect(isPageInPlaceOf(path, bytesOf("Origin: a\n"), "text/html")).toBe(false);
    },
  );
  test.each(["index.html", "NOTES.HTM", "docs/a.xhtml", "pool/", ""])("is the file itself under the name %j", (path) => {
    expect(isPageInPlaceOf(path, page, "text/html")).toBe(false);
  });
});

test.each([
  ["a.rpm", "text/html; charset=utf-8", false, "application/x-rpm"],
  ["a.rpm", "application/octet-stream", false, "application/octet-stream"],
  ["Packages.gz", "text/plain", true, "application/gzip"],
  ["Packages.gz", "text/plain", false, "text/plain"],
  ["listing/", "text/html", false, "text/html"],
  ["toString", "text/html", false, "text/html"],
  ["a.deb", undefined, false, undefined],
])("the type of %s sent as %s (coding mistaken: %s) is %s", (path, sent, isCodingMistaken, type) => {
  expect(contentTypeOf(path, sent, isCodingMistaken)).toBe(type);
});

test("any bytes are judged, in bounded time", () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom("<!--", "-->", "<?xml ", ">", " ", "\n", "<", "html", "\u{feff}"), { maxLength: 2000 }),
      (parts) => {
        expect(typeof isHtmlBody(bytesOf(parts.join("")), null)).toBe("boolean");
      },
    ),
  );
});
