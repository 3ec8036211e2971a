import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { resolveLocation } from "../../../../src/metadata/formats/resolve-location.ts";

const UPSTREAMS = ["https://one.example/pub/fedora/linux", "http://two.example:8080/", "http://127.0.0.1:9/a%2Bb"];

describe("a location of an index is a path of the mirror", () => {
  test.each<[folder: string, location: string, base: string | undefined, path: string | null]>([
    ["os", "Packages/a.rpm", undefined, "os/Packages/a.rpm"],
    ["", "pool/main/a.deb", undefined, "pool/main/a.deb"],
    ["os", "./a.rpm", undefined, "os/a.rpm"],
    ["os", ".//x///a.rpm", undefined, "os/x/a.rpm"],
    ["os", "/a.rpm", undefined, "os/a.rpm"],
    ["repos/x/os", "../../blob/a.rpm", undefined, "repos/blob/a.rpm"],
    ["os", "../a.rpm", undefined, "a.rpm"],
    // A name is what it is: dnf and zypper ask for these as %252B, %7E and so on.
    ["os", "a%2Bb.rpm", undefined, "os/a%2Bb.rpm"],
    ["os", "a+1~b^c:d e.rpm", undefined, "os/a+1~b^c:d e.rpm"],
    ["os", "100%.rpm", undefined, "os/100%.rpm"],
    // xml:base
    ["os", "a.rpm", "Packages", "os/Packages/a.rpm"],
    ["os", "a.rpm", "../other/", "other/a.rpm"],
    ["os", "a.rpm", "", "os/a.rpm"],
    ["os", "x/a.rpm", "https://one.example/pub/fedora/linux/updates", "updates/x/a.rpm"],
    ["os", "x/a.rpm", "https://one.example/pub/fedora/linux", "x/a.rpm"],
    ["os", "x/a.rpm", "http://one.example/pub/fedora/linux/", "x/a.rpm"],
    ["os", "../a.rpm", "https://one.example/pub/fedora/linux/updates/os/", "updates/a.rpm"],
    ["os", "a.rpm", "http://127.0.0.1:9/a+b/c%20d", "c d/a.rpm"],
    // An absolute URL is sent as it is.
    ["os", "https://one.example/pub/fedora/linux/x/a%2Bb.rpm", undefined, "x/a+b.rpm"],
    ["os", "http://two.example:8080/x/./y/../a.deb", "ignored", "x/a.deb"],
  ])("%s + %s (base %s) is %s", (folder, location, base, path) => {
    expect(resolveLocation(folder, location, base, UPSTREAMS)).toBe(path);
  });

  test.each<[folder: string, location: string, base?: string]>([
    ["os", "../../a.rpm"],
    ["", "../a.rpm"],
    ["os", "x/../../../etc/passwd"],
    ["os", "a.rpm", "../.."],
    ["os", "a.rpm", "https://elsewhere.example/pub/fedora/linux/"],
    ["os", "a.rpm", "https://one.example/pub/fedora/linux-other/"],
    ["os", "../../a.rpm", "https://one.example/pub/fedora/linux/os"],
    ["os", "https://one.example/pub/a.rpm"],
    ["os", "https://one.example/pub/fedora/linux/../a.rpm"],
    ["os", "http://two.example/a.deb"],
    ["os", "ftp://one.example/pub/fedora/linux/a.rpm"],
    ["os", "https://one.example/pub/fedora/linux/a.rpm?x=1"],
    ["os", "https://one.example/pub/fedora/linux/%zz"],
    ["os", "://"],
    ["os", "a\u0000.rpm"],
    ["os", "a\\b.rpm"],
    ["os", "a?b.rpm"],
    ["os", "x".repeat(2000)],
  ])("%s + %s (base %s) is none", (folder, location, base) => {
    expect(resolveLocation(folder, location, base, UPSTREAMS)).toBeNull();
  });

  test("without upstreams no absolute URL is one", () => {
    expect(resolveLocation("os", "https://one.example/a.rpm")).toBeNull();
  });

  test("whatever an index writes, it is none or a clean path below the mirror", () => {
    const part = fc.oneof(fc.string(), fc.constantFrom("..", ".", "", "a", "https:", "one.example", "%2e%2e", "%2F", "pub/fedora/linux"));
    const text = fc.array(part, { maxLength: 8 }).map((parts) => parts.join("/"));
    fc.assert(
      fc.property(fc.constantFrom("", "os", "a/b/c"), text, fc.option(text, { nil: undefined }), (folder, location, base) => {
        const path = resolveLocation(folder, location, base, UPSTREAMS);
        if (path === null) return;
        expect(path.startsWith("/") || path.endsWith("/")).toBe(false);
        for (const one of path.split("/")) expect(path === "" || !/^\.{0,2}$/.test(one)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
