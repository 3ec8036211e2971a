import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createTableReader, LostTableError } from "../../../../src/metadata/digests/read-table.ts";
import { createRecordSorter, type Scratch } from "../../../../src/metadata/digests/sort-records.ts";
import {
  decodeRecord,
  encodeRecord,
  type RawRecord,
  readManifest,
  readPage,
  type TableRecord,
} from "../../../../src/metadata/digests/table-format.ts";
import { TableFormatError } from "../../../../src/metadata/digests/table-bytes.ts";
import { MAX_PAGE_BYTES, tableKey, type TableRef, writeTable } from "../../../../src/metadata/digests/write-table.ts";
import { createWorld, DAY } from "../world.ts";
import { sha256 } from "../samples.ts";

function memoryScratch(): Scratch & { readonly parts: Uint8Array[] } {
  const parts: Uint8Array[] = [];
  return {
    parts,
    write: async (part) => parts.push(part) - 1,
    read: async (part) => parts[part] ?? new Uint8Array(),
    clear: async () => void parts.splice(0),
  };
}

function setUp() {
  const { store } = createWorld();
  const puts: string[] = [];
  const clock = { now: 1_000_000 };
  const watched = { ...store, put: (key: string, ...rest: [never, never]) => (puts.push(key), store.put(key, ...rest)) } as typeof store;
  return {
    store,
    puts,
    clock,
    reader: createTableReader({ store }),
    async build(records: Iterable<TableRecord>, scratch: Scratch = memoryScratch()): Promise<TableRef> {
      const sorter = createRecordSorter({ scratch, breathe: () => new Promise((resolve) => setImmediate(resolve)) });
      for (const record of records) {
        expect(sorter.add(record)).toBe(true);
        await sorter.relieve();
      }
      return writeTable(sorter.sorted(), { store: watched, now: () => clock.now });
    },
  };
}

async function all(batches: AsyncIterable<readonly RawRecord[]>): Promise<TableRecord[]> {
  const records: TableRecord[] = [];
  for await (const batch of batches) records.push(...batch.map(decodeRecord));
  return records;
}

const word = fc.string({ minLength: 1, maxLength: 30, unit: "grapheme" });
const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom("0", "3", "7", "9", "a", "c", "f"), minLength: length, maxLength: length });
const digest = fc.oneof(
  fc.record({ algorithm: fc.constant("sha256" as const), digest: hex(64) }),
  fc.record({ algorithm: fc.constant("sha512" as const), digest: hex(128) }),
  fc.record({ algorithm: fc.constant("sha384" as const), digest: hex(96) }),
  fc.record({ algorithm: fc.constantFrom("sha1" as const, "apk-control-sha1" as const), digest: hex(40) }),
  fc.record({ algorithm: fc.constant("md5" as const), digest: hex(32) }),
);
const record = fc.record(
  {
    path: fc.string({ minLength: 1, maxLength: 200, unit: "grapheme" }),
    size: fc.maxSafeNat().map((n) => Math.floor(n / 2)),
    digests: fc.array(digest, { maxLength: 3 }),
    name: word,
    version: word,
    architecture: word,
  },
  { requiredKeys: ["path", "digests"] },
);

function byPath(one: TableRecord, other: TableRecord): number {
  return one.path < other.path ? -1 : one.path > other.path ? 1 : 0;
}

describe("a digest table", () => {
  test("gives back, in order, what it was made of, and finds each path and no other", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(record, { selector: ({ path }) => path, maxLength: 60 }), word, async (records, other) => {
        const { build, reader } = setUp();
        const table = await build(records);
        expect(await all(reader.read(table))).toEqual(records.toSorted(byPath));
        for (const one of records) expect(await reader.lookUp(table, one.path)).toEqual([one]);
        if (!records.some(({ path }) => path === other)) expect(await reader.lookUp(table, other)).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });

  test("is the same whatever the order of its records was", async () => {
    const records = packages(3000);
    const { build } = setUp();
    expect(await build(records.toReversed())).toEqual(await build(records));
  });

  test("keeps two files of one path, and equal records once", async () => {
    const [one, other] = [fileOf("a.rpm", "one"), fileOf("a.rpm", "other")];
    const { build, reader } = setUp();
    const table = await build([one, other, one]);
    expect(await reader.lookUp(table, "a.rpm")).toHaveLength(2);
    expect(await reader.count(table)).toBe(2);
  });

  test("leaves out what clients cannot ask for, and words that are too long", async () => {
    const { build, reader } = setUp();
    const kept = fileOf("a.rpm", "a");
    const table = await build([fileOf("", "a"), fileOf("\ud800", "a"), fileOf("x".repeat(1025), "a"), { ...kept, name: "n".repeat(257) }]);
    expect(await all(reader.read(table))).toEqual([kept]);
  });

  test("keeps its pages within their limit, however paths fall, and one path in one page", async () => {
    const { build, reader, store } = setUp();
    const same = Array.from({ length: 40 }, (_, n) => fileOf("Packages/p/same.rpm", String(n)));
    const long = Array.from({ length: 4000 }, (_, n) => fileOf(`Packages/${"p".repeat(800)}${String(n).padStart(5, "0")}`, String(n)));
    const table = await build([...packages(20_000), ...same, ...long]);
    for (const key of (await reader.keys(table)).slice(1)) {
      expect(store.objects.get(key)?.bytes.length).toBeLessThanOrEqual(MAX_PAGE_BYTES + 8192);
    }
    expect((await reader.lookUp(table, "Packages/p/same.rpm")).length).toBe(32);
  });

  test("of a small repository is one object, which one read gives", async () => {
    const { build, store } = setUp();
    await build(packages(100));
    expect(store.objects.size).toBe(1);
  });

  test("shares its pages with the table of the generation before", async () => {
    const { build, reader, puts } = setUp();
    const before = await build(packages(60_000));
    const pages = new Set((await reader.keys(before)).slice(1));
    puts.splice(0);
    // An update rebuilds all packages of a source, which are neighbours: 30 sources of 20 packages are one in a hundred.
    const changed = new Map<number, number>(Array.from({ length: 30 }, (_, at) => [(at * 1999) % 3000, 1]));
    const after = await build(packages(60_000, changed));
    const common = (await reader.keys(after)).filter((key) => pages.has(key)).length;
    expect(pages.size).toBeGreaterThan(80);
    expect(common / pages.size).toBeGreaterThan(0.7);
    expect(puts.length).toBe((await reader.keys(after)).length - common);
    const differences = await collect(reader.differences(before, after));
    expect(differences.filter((one) => one.before.length === 0).map((one) => one.after[0]?.version)).toEqual(
      Array.from({ length: 600 }, () => "2"),
    );
    expect(differences.filter((one) => one.after.length === 0)).toHaveLength(600);
    expect(differences).toHaveLength(1200);
  });

  test("tells what another one says otherwise", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(40), fc.nat(2)), { maxLength: 40 }),
        fc.array(fc.tuple(fc.nat(40), fc.nat(2)), { maxLength: 40 }),
        async (one, other) => {
          const { build, reader } = setUp();
          const filesOf = (files: readonly (readonly [number, number])[]) =>
            files.map(([path, content]) => fileOf(`p/${path}`, String(content)));
          const [before, after] = [await build([...packages(1000), ...filesOf(one)]), await build([...packages(1000), ...filesOf(other)])];
          const keys = (files: readonly (readonly [number, number])[], path: string) =>
            [
              ...new Set(
                filesOf(files)
                  .filter((file) => file.path === path)
                  .map((file) => JSON.stringify(file)),
              ),
            ].toSorted();
          const expected = Array.from({ length: 41 }, (_, n) => `p/${n}`).filter(
            (path) => keys(one, path).join() !== keys(other, path).join(),
          );
          const found = await collect(reader.differences(before, after));
          expect(found.map(({ path }) => path)).toEqual(expected.toSorted());
          for (const difference of found)
            expect(difference.after.map((file) => JSON.stringify(file)).toSorted()).toEqual(keys(other, difference.path));
        },
      ),
      { numRuns: 20 },
    );
  });

  test("stores a page anew that is old, so that the retention spares it as long as the table", async () => {
    const { build, puts, clock } = setUp();
    await build(packages(100));
    await build(packages(100));
    expect(puts).toHaveLength(1);
    clock.now += 11 * DAY;
    await build(packages(100));
    expect(puts).toHaveLength(2);
  });

  test("of which the store lost a part, or has other bytes, says so", async () => {
    const { build, store } = setUp();
    const table = await build(packages(3000));
    const fresh = () => createTableReader({ store });
    const [manifest = "", page = ""] = await fresh().keys(table);
    const held = store.objects.get(page);
    store.objects.delete(page);
    await expect(all(fresh().read(table))).rejects.toBeInstanceOf(LostTableError);
    if (held !== undefined) store.objects.set(page, { ...held, bytes: held.bytes.map((byte, at) => (at === 100 ? byte ^ 1 : byte)) });
    await expect(all(fresh().read(table))).rejects.toBeInstanceOf(LostTableError);
    store.objects.delete(manifest);
    await expect(fresh().lookUp(table, "x")).rejects.toBeInstanceOf(LostTableError);
  });

  test("is read from the store once, and its use is noted for the retention", async () => {
    const { build, store } = setUp();
    const table = await build(packages(3000));
    const [used, reads]: [string[], string[]] = [[], []];
    const counted = { get: (key: string) => (reads.push(key), store.get(key)) };
    const reader = createTableReader({ store: counted, onUse: (key) => used.push(key) });
    for (let n = 0; n < 3; n++) expect(await reader.lookUp(table, packages(1)[0]?.path ?? "")).toHaveLength(1);
    expect(reads).toHaveLength(2);
    expect(used).toEqual(reads);
    expect(reads[0]).toBe(tableKey(table.version));
  });

  test("bytes that are none, are cut off or of another version are no table", () => {
    const page = Uint8Array.of(0x4c, 0x4d, 0x50, 1, 0, 5, 97);
    for (const bytes of [page, page.subarray(0, 4 + 1), Uint8Array.of(1, 2, 3, 4), Uint8Array.of(0x4c, 0x4d, 0x50, 2)]) {
      expect(() => [...readPage(bytes)]).toThrow(TableFormatError);
    }
    expect(() => readManifest(page)).toThrow(TableFormatError);
    expect(() => decodeRecord({ path: "a", facts: Uint8Array.of(0, 1, 99) })).toThrow(TableFormatError);
    expect(() => encodeRecord({ path: "a", digests: [{ algorithm: "sha256", digest: "00" }] })).toThrow(RangeError);
  });
});

describe("sorting", () => {
  test("breathes also where nothing comes out, since all records have one path", async () => {
    let breaths = 0;
    const sorter = createRecordSorter({ scratch: memoryScratch(), breathe: async () => void breaths++ });
    for (let size = 0; size < 40_000; size++) expect(sorter.add({ path: "same", size, digests: [] })).toBe(true);
    let count = 0;
    for await (const batch of sorter.sorted()) count += batch.length;
    expect(count).toBe(32);
    expect(breaths).toBe(40);
  });

  test("moves what does not fit in memory out, and takes no more than a table may have", async () => {
    const scratch = memoryScratch();
    const sorter = createRecordSorter({ scratch, breathe: async () => {}, maxBytes: 12_000_000, maxRunBytes: 1_000_000 });
    const long = (n: number): TableRecord => fileOf(`${String((n * 7919) % 20_000).padStart(6, "0")}${"x".repeat(900)}${n}`, "same");
    let taken = 0;
    for (; taken < 500_000 && sorter.add(long(taken)); taken++) if (taken % 1000 === 0) await sorter.relieve();
    expect(scratch.parts.length).toBeGreaterThan(10);
    expect(taken).toBeLessThan(20_000);
    let [count, last] = [0, ""];
    for await (const batch of sorter.sorted()) {
      for (const { path } of batch) {
        expect(path > last).toBe(true);
        last = path;
        count++;
      }
    }
    expect(count).toBeGreaterThan(taken - 2_001);
    await sorter.clear();
    expect(scratch.parts).toEqual([]);
  });
});

function fileOf(path: string, content: string): TableRecord {
  return { path, size: content.length, digests: [{ algorithm: "sha256", digest: sha256(content) }] };
}

/** Packages of a distribution, 20 of each source. `rebuilt`: the sources that have another version. */
function packages(count: number, rebuilt: ReadonlyMap<number, number> = new Map()): TableRecord[] {
  return Array.from({ length: count }, (_, n) => {
    const source = Math.floor(n / 20);
    const letter = "abcdefghijklmnopqrstuvwxyz"[source % 26];
    const version = rebuilt.has(source) ? "2" : "1";
    const name = `${letter}-source-${source}-part${n % 20}`;
    return {
      ...fileOf(`Packages/${letter}/${name}-${version}-1.fc43.x86_64.rpm`, `${name} ${version}`),
      name,
      version,
      architecture: "x86_64",
    };
  });
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = [];
  for await (const one of items) collected.push(one);
  return collected;
}
