import * as fc from "fast-check";
import { expect, test } from "vitest";
import {
  createTableBuilder,
  createTableIndex,
  findInPage,
  MAX_RECORDS,
  PAGE_BYTES,
  pageOffset,
  type TableEntry,
} from "../../../../src/metadata/digests/digest-table.ts";
import { sha256 } from "../samples.ts";

function build(packages: Iterable<TableEntry>, maxBytes = 1 << 20): { bytes: Uint8Array; pages: number; parts: Uint8Array[] } {
  const builder = createTableBuilder();
  for (const named of packages) builder.add(named);
  const { pages, parts } = builder.finish(maxBytes);
  const all = [...parts];
  return { bytes: Buffer.concat(all), pages, parts: all };
}
const lookUp = (bytes: Uint8Array, pages: number, path: string): ReturnType<typeof findInPage> => {
  const offset = pageOffset(path, pages);
  return findInPage(bytes.subarray(offset, offset + PAGE_BYTES), path);
};

test("whatever packages a table is made of, one page gives each one's size and digest, and no other path's", () => {
  const named = fc.record({
    path: fc.string({ minLength: 1 }),
    size: fc.maxSafeNat().map((n) => n % 2 ** 48),
    sha256: fc.string().map(sha256),
  });
  fc.assert(
    fc.property(fc.uniqueArray(named, { selector: ({ path }) => path, maxLength: 400 }), fc.string(), (packages, other) => {
      const { bytes, pages } = build(packages, 8192);
      for (const { path, size, sha256: digest } of packages) expect(lookUp(bytes, pages, path)).toContainEqual({ size, sha256: digest });
      if (!packages.some(({ path }) => path === other)) expect(lookUp(bytes, pages, other)).toEqual([]);
    }),
  );
});

test("70,000 packages make a table below 7 MB, in parts of whole pages, and all are found", () => {
  const packages = Array.from({ length: 70_000 }, (_, n) => ({
    path: `Packages/p/package-${n}-1.fc42.noarch.rpm`,
    size: n,
    sha256: sha256(String(n)),
  }));
  const { bytes, pages, parts } = build(packages, 1 << 20);
  expect(bytes.length).toBeLessThan(7_000_000);
  expect(bytes.length).toBe(pages * PAGE_BYTES);
  expect(parts.every((part) => part.length <= 1 << 20 && part.length % PAGE_BYTES === 0)).toBe(true);
  const missing = packages.filter(({ path, sha256: digest }) => lookUp(bytes, pages, path)[0]?.sha256 !== digest);
  expect(missing).toEqual([]);
  expect(createTableIndex(parts, pages)("Packages/p/package-69999-1.fc42.noarch.rpm")).toEqual([{ size: 69_999, sha256: sha256("69999") }]);
});

test("one path with two digests keeps both; the same record twice is one", () => {
  const one = { path: "a", size: 1, sha256: sha256("1") };
  const { bytes, pages } = build([one, { ...one, sha256: sha256("2") }, one]);
  expect(lookUp(bytes, pages, "a")).toHaveLength(2);
});

test("tables merge by their pages", () => {
  const builder = createTableBuilder();
  for (const path of ["a", "b"]) builder.addPages(build([{ path, size: 1, sha256: sha256(path) }]).bytes);
  const { pages, parts } = builder.finish(PAGE_BYTES);
  expect(lookUp(Buffer.concat([...parts]), pages, "b")).toEqual([{ size: 1, sha256: sha256("b") }]);
  expect(builder.count).toBe(2);
});

test("a table that is full takes no more", () => {
  const builder = createTableBuilder();
  const digest = sha256("");
  for (let n = 0; n < MAX_RECORDS; n++) builder.add({ path: `p${n}`, size: 1, sha256: digest });
  expect(builder.add({ path: "more", size: 1, sha256: digest })).toBe(false);
});

test("a hundred digests of one path do not make a table grow for ever", () => {
  const { pages } = build(Array.from({ length: 200 }, (_, n) => ({ path: "a", size: n, sha256: sha256(String(n)) })));
  expect(pages).toBeLessThan(2000);
});
