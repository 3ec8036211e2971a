import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bodyPath, keyOfMeta, pathsOf, slicePath } from "../../../src/store/disk-path.ts";

const LONGEST_NAME_BYTES = 200;

function isBelow(folder: string, path: string): boolean {
  return path.startsWith(`${folder}/`);
}

describe("the path of a key", () => {
  it.each([
    [
      "fedora/releases/41/x86_64/libstdc++-14.2.1-3.fc41.x86_64.rpm",
      "objects/fedora/releases/41/x86_64/libstdc++-14.2.1-3.fc41.x86_64.rpm",
    ],
    ["debian/pool/main/v/vim/vim_2:9.1.0-1~deb_amd64.deb", "objects/debian/pool/main/v/vim/vim_2:9.1.0-1~deb_amd64.deb"],
    [`-/sha256/${"ab".repeat(32)}`, `objects/-/sha256/${"ab".repeat(32)}`],
    ["m/a b%é", "objects/m/a%20b%25%C3%A9"],
    ["m/../.x", "objects/m/%2E./%2Ex"],
    ["m//x/", "objects/m/%/x/%"],
    ["m/x.json/y.json", "objects/m/x%2Ejson/y.json"],
    [`m/${"x".repeat(181)}`, `objects/m/${"x".repeat(180)}%/x`],
  ])("of %j is %j", (key, path) => {
    expect(bodyPath(key)).toBe(path);
    expect(pathsOf(key).meta).toBe(`${path.replace("objects", "meta")}.json`);
  });

  it("has only names that the disk service and any file system take", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", minLength: 1, maxLength: 400 }), (key) => {
        for (const name of pathsOf(key).meta.split("/")) {
          expect(name).toMatch(/^[A-Za-z0-9+_~=@,:%-][A-Za-z0-9+_~=@,:.%-]*$/);
          expect(name.length).toBeLessThanOrEqual(LONGEST_NAME_BYTES);
        }
      }),
    );
  });

  it("says which key it is of", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", minLength: 1, maxLength: 600 }), (key) => {
        fc.pre(key.isWellFormed());
        expect(keyOfMeta(pathsOf(key).meta)).toBe(key);
      }),
    );
    for (const key of [`m/${"é".repeat(200)}`, `m/${"x".repeat(179)}é`, `m/${"x".repeat(180)}.y.json/z`, "m/a/", "m//"]) {
      expect(keyOfMeta(pathsOf(key).meta)).toBe(key);
    }
  });

  it.each(["meta/m/a b.json", "meta/m/%4.json", "meta/m/%41.json", "meta/m/.hidden.json", "meta/m/x%.json"])("%j is of no key", (path) => {
    expect(keyOfMeta(path)).toBeNull();
  });

  it("is that of no other key", () => {
    const near = fc.array(fc.constantFrom("a", ".", "/", "%", "%2E", ".json", "x".repeat(90), " ", "é", "%20"), {
      minLength: 1,
      maxLength: 8,
    });
    fc.assert(
      fc.property(near, near, (one, other) => {
        const [key, otherKey] = [one.join(""), other.join("")];
        expect(bodyPath(key) === bodyPath(otherKey)).toBe(key === otherKey);
        expect(isBelow(pathsOf(key).meta, pathsOf(otherKey).meta)).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });

  it("of a slice is its version's folder", () => {
    expect(slicePath("ab".repeat(16), 7)).toBe(`slices/ab/${"ab".repeat(16)}/7`);
  });
});
