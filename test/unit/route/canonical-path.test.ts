import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalPath, encodePath } from "../../../src/route/canonical-path.ts";

function canonical(raw: string): string {
  const result = canonicalPath(raw);
  if (!result.ok) throw new Error(result.detail);
  return result.path;
}

/** Raw paths of what breaks paths, beside random text. */
const rawPath = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        "/",
        "//",
        ".",
        "..",
        "%2e",
        "%2E",
        "%2f",
        "%5c",
        "\\",
        "%00",
        "%25",
        "%252e",
        "+",
        "%2b",
        "%2B",
        "~",
        "%c3%a9",
        "%ff",
        "?",
        "%3f",
      ),
      fc.string({ maxLength: 4 }),
    ),
  )
  .map((pieces) => `/${pieces.join("")}`);

describe("one file has one path", () => {
  it.each([
    [
      "apt and dnf send %2b, zypper and pacman a raw +",
      ["/a/libstdc%2b%2b.rpm", "/a/libstdc%2B%2B.rpm", "/a/libstdc++.rpm"],
      "a/libstdc++.rpm",
    ],
    ["apt sends %7e, others ~", ["/a_1%7erc1.deb", "/a_1%7Erc1.deb", "/a_1~rc1.deb"], "a_1~rc1.deb"],
    ["dnf sends %5e, zypper %5E", ["/a%5e1.rpm", "/a%5E1.rpm", "/a^1.rpm"], "a^1.rpm"],
    ["pacman sends a raw colon", ["/tzdata-1:2025b.pkg", "/tzdata-1%3a2025b.pkg"], "tzdata-1:2025b.pkg"],
    ["slashes double where URLs are joined", ["//a///b.rpm", "/a/./b.rpm", "/./a/%2e/b.rpm", "a/b.rpm"], "a/b.rpm"],
    ["letters may be encoded", ["/%61/%62.rpm"], "a/b.rpm"],
    ["names may be UTF-8", ["/%c3%a9%E2%82%AC.txt"], "é€.txt"],
    ["decoding is done once", ["/a%252fb%252e%252e"], "a%2fb%2e%2e"],
    ["a listing keeps its slash", ["/a/b/", "/a/b//", "/a/b/.", "/a/b/./"], "a/b/"],
    ["the top is empty", ["/", "//", "", "/.", "/./"], ""],
    ["dots within names are names", ["/..a/b../...", "/%2e.a/b../..."], "..a/b../..."],
    ["a plus is no space", ["/a%20b"], "a b"],
    ["an encoded # is a name", ["/a%23b"], "a#b"],
  ])("%s", (_why, raws, path) => {
    for (const raw of raws) expect(canonical(raw)).toBe(path);
  });
});

describe("refused", () => {
  it.each([
    ["..", ["/..", "/../x", "/a/../b", "/a/..", "/%2e%2e/x", "/%2E%2e/x", "/.%2e/x", "/%2e./x", "/a/..//b"]],
    ["..%2f", ["/..%2fx", "/a%2f..%2fb", "/%2e%2e%2fetc"]],
    ["an encoded slash", ["/a%2fb", "/a%2Fb", "/%2f"]],
    ["a backslash", ["/a\\b", "/a%5cb", "/..\\x", "/..%5Cx"]],
    ["control characters", ["/a%00", "/%00", "/a%0d%0aX:y", "/a\nb", "/a%7f", "/a%c2%85b"]],
    ["an encoded question mark", ["/a%3fx=1"]],
    ["bytes that are no UTF-8", ["/%ff", "/%c3", "/%c0%ae%c0%ae/x", "/%ed%a0%80"]],
    ["broken escapes", ["/a%", "/a%2", "/a%zz", "/%u002e"]],
    ["raw bytes beyond ASCII", ["/é", "/\ud800"]],
  ])("%s", (_what, raws) => {
    for (const raw of raws) expect(canonicalPath(raw)).toEqual({ ok: false, detail: expect.stringContaining("Cannot use the path: ") });
  });

  it("never repeats what was sent", () => {
    expect(canonicalPath("/<script>/../x")).toEqual({ ok: false, detail: "Cannot use the path: '..' leads out of its folder" });
  });
});

describe("sent upstream", () => {
  it.each([
    ["a/libstdc++.rpm", "a/libstdc%2B%2B.rpm"],
    ["a_1~rc1:2.deb", "a_1~rc1:2.deb"],
    ["@scope/a=1,b.tgz", "@scope/a=1,b.tgz"],
    ["100%2e/x", "100%252e/x"],
    ["a b#c^d", "a%20b%23c%5Ed"],
    ["é/", "%C3%A9/"],
    ["", ""],
  ])("%s goes as %s", (path, encoded) => {
    expect(encodePath(path)).toBe(encoded);
  });
});

describe("properties", () => {
  it("no canonical path leads up, hides a slash or ends a line", () => {
    fc.assert(
      fc.property(rawPath, (raw) => {
        const result = canonicalPath(raw);
        if (!result.ok) return;
        expect(result.path.split("/")).not.toContain("..");
        expect(result.path.split("/")).not.toContain(".");
        expect(result.path).not.toMatch(/\/\/|^\/|[\p{Cc}\\?]/u);
      }),
      { numRuns: 2000 },
    );
  });

  it("encoding and decoding are inverse, so canonicalisation is idempotent", () => {
    fc.assert(
      fc.property(rawPath, (raw) => {
        const result = canonicalPath(raw);
        if (result.ok) expect(canonical(`/${encodePath(result.path)}`)).toBe(result.path);
      }),
      { numRuns: 2000 },
    );
  });

  it("the URL sent upstream is already what a URL parser makes of it", () => {
    fc.assert(
      fc.property(rawPath, (raw) => {
        const result = canonicalPath(raw);
        if (!result.ok) return;
        const url = `https://u.example/base/${encodePath(result.path)}`;
        expect(new URL(url).href).toBe(url);
      }),
      { numRuns: 2000 },
    );
  });
});
