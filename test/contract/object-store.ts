import { beforeEach, describe, expect, it } from "vitest";
import { newVersion, sliceKey } from "../../src/store/keys.ts";
import type { ByteRange } from "../../src/http/byte-ranges.ts";
import type { ObjectStore, StoredBody } from "../../src/store/object-store.ts";
import type { StoredObject } from "../../src/store/stored-object.ts";

const TEXT = "hello world";

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function describedAs(size: number, changes: Partial<StoredObject> = {}): StoredObject {
  return {
    version: newVersion(),
    size,
    contentType: "application/x-rpm",
    upstream: "https://one.example/fedora/x.rpm",
    storedAt: 1_700_000_000_000,
    verified: "structure",
    ...changes,
  };
}

export async function textOf(found: StoredBody | null): Promise<string | null> {
  return found?.body ? new TextDecoder().decode(await new Response(found.body).arrayBuffer()) : null;
}

async function readSlice(body: ReadableStream<Uint8Array> | null): Promise<string | null> {
  return body && new TextDecoder().decode(await new Response(body).arrayBuffer());
}

async function listKeys(store: ObjectStore, prefix: string, limit: number): Promise<string[][]> {
  const pages: string[][] = [];
  let cursor: string | undefined;
  do {
    const page = await store.list({ prefix, limit, ...(cursor !== undefined && { cursor }) });
    pages.push(page.objects.map(({ key }) => key));
    cursor = page.cursor;
  } while (cursor !== undefined);
  return pages;
}

/** Keys that a store must tell apart and give back as they are, below a folder. */
const ODD_NAMES = [
  "libstdc++-14.2.1-3.fc41.x86_64.rpm",
  "epoch_1:2.0~rc1-1.deb",
  "with space.iso",
  " ",
  "per%cent",
  "per%25cent",
  "per%2Fcent",
  "Ünïcödé-文件-🐧.rpm",
  "U\u0308nnormalised",
  ".hidden",
  "..",
  ".",
  "%2E",
  "a\\b",
  'quo"te',
  "query?x=1#part",
  "tab\tline\nbreak\u0000nul\u007F",
  "trailing/",
  "double//slash",
  "folder.json/inside",
  "folder",
  "[set]*{x}|<>'`^$&;!()",
  "@=~,-_",
  "x".repeat(180),
  "x".repeat(181),
  `${"x".repeat(180)}.y`,
  "y".repeat(700),
  "界".repeat(250),
  "%".repeat(700),
];

/** What every ObjectStore promises. `makeStore` gives a new one over the same medium each time, as a new process would. */
export function describeObjectStore(title: string, makeStore: () => ObjectStore): void {
  describe(`${title}, as every store,`, () => {
    let store: ObjectStore;
    let folder: string;
    let key: string;

    beforeEach(() => {
      store = makeStore();
      folder = `fedora/${newVersion()}`;
      key = `${folder}/x.rpm`;
    });

    async function put(text: string, changes: Partial<StoredObject> = {}, at = key): Promise<StoredObject> {
      const object = describedAs(bytesOf(text).length, changes);
      expect(await store.put(at, object, bytesOf(text))).toBe("stored");
      return object;
    }

    describe("an object", () => {
      it("is null where it is not there, never an error", async () => {
        expect(await store.head(key)).toBeNull();
        expect(await store.peek(key)).toBeNull();
        expect(await store.get(key)).toBeNull();
        expect(await store.get(key, { first: 0, last: 0 })).toBeNull();
        expect(await store.get(key, { suffix: 1 })).toBeNull();
      });

      it("comes back as it was put, with its bytes, also to a new process", async () => {
        const object = await put(TEXT, {
          etag: '"é-1"',
          lastModified: "Sun, 06 Nov 1994 08:49:37 GMT",
          sha256: "0".repeat(64),
          tainted: true,
          provisional: true,
        });
        for (const reader of [store, makeStore()]) {
          expect(await reader.head(key)).toEqual(object);
          expect(await reader.peek(key)).toEqual(object);
          const found = await reader.get(key);
          expect(found?.object).toEqual(object);
          expect(await textOf(found)).toBe(TEXT);
        }
      });

      it("comes back with its own bytes, whatever the caller knew of it", async () => {
        const known = describedAs(TEXT.length);
        expect(await store.get(key, undefined, { known })).toBeNull();
        const object = await put(TEXT);
        for (const reader of [store, makeStore()]) {
          for (const knew of [object, known, undefined]) {
            const found = await reader.get(key, { first: 6 }, { known: knew });
            expect(found?.object).toEqual(object);
            expect(await textOf(found)).toBe("world");
          }
        }
      });

      it("may be empty", async () => {
        const object = await put("");
        const found = await store.get(key);
        expect(found?.object).toEqual(object);
        expect(await textOf(found)).toBe("");
        for (const wanted of [{ first: 0 }, { first: 0, last: 4 }, { suffix: 5 }]) {
          expect(await store.get(key, wanted)).toEqual({ object, body: null });
        }
      });

      it("keeps a megabyte byte for byte, in whole and in part", async () => {
        const bytes = Uint8Array.from({ length: 1 << 20 }, (_, at) => (at * 31) ^ (at >> 8));
        await store.put(key, describedAs(bytes.length), bytes);
        const whole = await store.get(key);
        expect(new Uint8Array(await new Response(whole!.body).arrayBuffer())).toEqual(bytes);
        const part = await store.get(key, { first: 70_001, last: 570_000 });
        expect(new Uint8Array(await new Response(part!.body).arrayBuffer())).toEqual(bytes.subarray(70_001, 570_001));
      });

      it("takes its bytes from a part of a buffer", async () => {
        const bytes = bytesOf(`before ${TEXT} after`).subarray(7, 7 + TEXT.length);
        await store.put(key, describedAs(bytes.length), bytes);
        expect(await textOf(await store.get(key))).toBe(TEXT);
      });

      it("is not stored with a body of another length than it declares", async () => {
        await expect(store.put(key, describedAs(5), bytesOf(TEXT))).rejects.toThrow(RangeError);
        expect(await store.head(key)).toBeNull();
      });

      it("is not stored with more metadata than promised", async () => {
        const object = describedAs(0, { upstream: `https://one.example/${"x".repeat(3000)}` });
        await expect(store.put(key, object, new Uint8Array())).rejects.toMatchObject({ name: "StoreError", kind: "too-large" });
        expect(await store.head(key)).toBeNull();
      });

      it("may have a body that is never read", async () => {
        await put(TEXT);
        await (await store.get(key))?.body?.cancel();
        expect(await textOf(await store.get(key))).toBe(TEXT);
      });
    });

    describe("a wanted part", () => {
      it.each<[ByteRange, string | null]>([
        [{ first: 0, last: 4 }, "hello"],
        [{ first: 0 }, TEXT],
        [{ first: 6 }, "world"],
        [{ first: 0, last: TEXT.length - 1 }, TEXT],
        [{ first: 10, last: 10 }, "d"],
        [{ first: 6, last: 105 }, "world"],
        [{ suffix: 3 }, "rld"],
        [{ suffix: TEXT.length }, TEXT],
        [{ suffix: 100 }, TEXT],
        [{ first: 11 }, null],
        [{ first: 11, last: 11 }, null],
        [{ first: 500, last: 500 }, null],
        [{ suffix: 0 }, null],
      ])("%j of eleven bytes is %j", async (wanted, expected) => {
        const object = await put(TEXT);
        for (const reader of [store, makeStore()]) {
          const found = await reader.get(key, wanted);
          expect(found?.object).toEqual(object);
          expect(await textOf(found)).toBe(expected);
        }
      });
    });

    describe("the head of a sliced object", () => {
      it("has no body, whatever is wanted", async () => {
        const object = describedAs(100_000_000, { sliceBytes: 8_388_608 });
        await store.put(key, object, new Uint8Array());
        expect(await store.head(key)).toEqual(object);
        for (const wanted of [undefined, { first: 0 }, { first: 5, last: 9 }, { suffix: 5 }, { first: 100_000_000 }]) {
          expect(await store.get(key, wanted)).toEqual({ object, body: null });
        }
      });

      it("replaces an inline object, and the reverse", async () => {
        await put(TEXT);
        await store.put(key, describedAs(100, { sliceBytes: 50 }), new Uint8Array());
        expect((await store.get(key))?.body).toBeNull();
        await put("inline again");
        expect(await textOf(await store.get(key))).toBe("inline again");
      });
    });

    describe("a key", () => {
      it.each(ODD_NAMES)("may be %j", async (odd) => {
        const oddKey = `${folder}/${odd}`;
        await put(odd, {}, oddKey);
        for (const reader of [store, makeStore()]) expect(await textOf(await reader.get(oddKey))).toBe(odd);
        expect(await listKeys(store, folder, 10)).toEqual([[oddKey]]);
        await store.delete([oddKey]);
        expect(await store.head(oddKey)).toBeNull();
      });

      it("is distinct from every other that looks like it", async () => {
        // "folder" and "folder.json/inside" may stand side by side; a key below a key that is an object need not.
        for (const odd of ODD_NAMES) await put(odd, {}, `${folder}/${odd}`);
        for (const odd of ODD_NAMES) expect(await textOf(await store.get(`${folder}/${odd}`))).toBe(odd);
        const listed = (await listKeys(store, `${folder}/`, 7)).flat();
        expect(listed.toSorted()).toEqual(ODD_NAMES.map((odd) => `${folder}/${odd}`).toSorted());
      });

      it("counts in upper and lower case", async () => {
        await put("upper", {}, `${folder}/LICENSE`);
        await put("lower", {}, `${folder}/License`);
        for (const reader of [store, makeStore()]) {
          expect(await textOf(await reader.get(`${folder}/LICENSE`))).toBe("upper");
          expect(await textOf(await reader.get(`${folder}/License`))).toBe("lower");
        }
      });

      it("may be 1,024 bytes long, and no longer", async () => {
        const longest = `${folder}/${"é".repeat(600)}`.slice(0, folder.length + 1 + (1024 - folder.length - 1) / 2);
        const full = longest.padEnd(longest.length + 1024 - bytesOf(longest).length, "x");
        expect(bytesOf(full).length).toBe(1024);
        await put(TEXT, {}, full);
        expect(await textOf(await store.get(full))).toBe(TEXT);
        await expect(store.put(`${full}x`, describedAs(0), new Uint8Array())).rejects.toMatchObject({ kind: "too-large" });
        expect(await store.head(`${full}x`)).toBeNull();
        expect(await store.get(`${full}x`)).toBeNull();
        await store.delete([`${full}x`]);
      });

      it("may be that of a repository's member", async () => {
        const member = `-/sha256/${newVersion()}${newVersion()}`;
        await put(TEXT, {}, member);
        expect(await textOf(await store.get(member))).toBe(TEXT);
        await store.delete([member]);
      });

      it("without a UTF-8 form is refused, and never there", async () => {
        await expect(store.put(`${folder}/\uD800`, describedAs(0), new Uint8Array())).rejects.toMatchObject({ kind: "too-large" });
        expect(await store.get(`${folder}/\uD800`)).toBeNull();
        expect(await store.head("")).toBeNull();
      });
    });

    describe("a replacement", () => {
      it("is what later reads see", async () => {
        await put("first version");
        const second = await put("second");
        for (const reader of [store, makeStore()]) {
          const found = await reader.get(key);
          expect(found?.object).toEqual(second);
          expect(await textOf(found)).toBe("second");
        }
      });

      it("of equal length never mixes with the body that a reader holds", async () => {
        const length = 3_000_000;
        await store.put(key, describedAs(length), new Uint8Array(length).fill(1));
        const held = await store.get(key);
        const reader = held!.body!.getReader();
        const first = await reader.read();
        await store.put(key, describedAs(length), new Uint8Array(length).fill(2));
        let read = first.value?.length ?? 0;
        try {
          for (let part = await reader.read(); !part.done; part = await reader.read()) {
            expect(part.value.every((byte) => byte === 1)).toBe(true);
            read += part.value.length;
          }
          expect(read).toBe(length);
        } catch (error) {
          // Failing is allowed, but for the expectations above.
          if (error instanceof Error && error.name === "AssertionError") throw error;
        }
      });

      it("leaves no reader with the metadata of one version and the bytes of another", async () => {
        const texts = ["aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc"];
        const versions = new Map<string, string>();
        async function replace(): Promise<void> {
          for (let round = 0; round < 12; round++) {
            const text = texts[round % texts.length]!;
            const object = describedAs(text.length);
            versions.set(object.version, text);
            await store.put(key, object, bytesOf(text));
          }
        }
        async function read(wanted?: ByteRange): Promise<void> {
          for (let round = 0; round < 25; round++) {
            const found = await store.get(key, wanted);
            const text = versions.get(found!.object.version)!;
            expect(await textOf(found)).toBe(wanted === undefined ? text : text.slice(0, 4));
          }
        }
        versions.set((await put("0000000000")).version, "0000000000");
        await Promise.all([replace(), read(), read(), read({ first: 0, last: 3 }), read()]);
      });

      it("by many at once ends with one of them, whole", async () => {
        const texts = Array.from({ length: 8 }, (_, at) => String(at).repeat(1000));
        const objects = texts.map((text) => describedAs(text.length));
        const done = await Promise.all(texts.map((text, at) => store.put(key, objects[at]!, bytesOf(text))));
        expect(done).toEqual(texts.map(() => "stored"));
        for (const reader of [store, makeStore()]) {
          const found = await reader.get(key);
          const winner = objects.findIndex(({ version }) => version === found?.object.version);
          expect(await textOf(found)).toBe(texts[winner]);
        }
      });
    });

    describe("a put where the key must be free", () => {
      it("stores once and leaves what is there", async () => {
        const object = describedAs(5);
        expect(await store.put(key, object, bytesOf("first"), { ifAbsent: true })).toBe("stored");
        expect(await store.put(key, describedAs(6), bytesOf("second"), { ifAbsent: true })).toBe("exists");
        expect(await makeStore().put(key, describedAs(6), bytesOf("second"), { ifAbsent: true })).toBe("exists");
        const found = await store.get(key);
        expect(found?.object).toEqual(object);
        expect(await textOf(found)).toBe("first");
      });

      it("stores again after a delete", async () => {
        await put("first");
        await store.delete([key]);
        expect(await store.put(key, describedAs(6), bytesOf("second"), { ifAbsent: true })).toBe("stored");
      });

      it("has one winner among many at once, and his bytes stay", async () => {
        const texts = Array.from({ length: 8 }, (_, at) => `version ${at}`);
        const done = await Promise.all(texts.map((text) => store.put(key, describedAs(text.length), bytesOf(text), { ifAbsent: true })));
        expect(done.toSorted()).toEqual([...Array<string>(7).fill("exists"), "stored"]);
        expect(await textOf(await store.get(key))).toBe(texts[done.indexOf("stored")]);
      });
    });

    describe("a put where one version must still be there", () => {
      it("changes what is kept beside the bytes of that version, and of no other", async () => {
        const first = describedAs(5);
        await store.put(key, first, bytesOf("first"));
        const marked = { ...first, verified: "digest" as const };
        expect(await store.put(key, marked, bytesOf("first"), { ifVersion: first.version })).toBe("stored");
        expect((await makeStore().head(key))?.verified).toBe("digest");
        const second = describedAs(6);
        await store.put(key, second, bytesOf("second"));
        expect(await store.put(key, marked, bytesOf("first"), { ifVersion: first.version })).toBe("changed");
        const found = await makeStore().get(key);
        expect(found?.object).toEqual(second);
        expect(await textOf(found)).toBe("second");
      });

      it("does not bring back a head that was deleted", async () => {
        const head = { ...describedAs(5), sliceBytes: 2 };
        await store.put(key, head, new Uint8Array());
        await store.delete([key]);
        expect(await store.put(key, head, new Uint8Array(), { ifVersion: head.version })).toBe("changed");
        expect(await makeStore().head(key)).toBeNull();
        const next = { ...describedAs(5), sliceBytes: 2 };
        await store.put(key, next, new Uint8Array());
        expect(await store.put(key, head, new Uint8Array(), { ifVersion: head.version })).toBe("changed");
        expect(await makeStore().head(key)).toEqual(next);
      });
    });

    describe("a delete", () => {
      it("takes the objects named and no others, and is no error for what is not there", async () => {
        await put("a", {}, `${folder}/a`);
        await put("ab", {}, `${folder}/ab`);
        await put("c", {}, `${folder}/c/d`);
        await store.delete([]);
        // A folder of keys is no key.
        await store.delete([`${folder}/a`, `${folder}/none`, `${folder}/none/below`, `${folder}/c`, folder]);
        for (const reader of [store, makeStore()]) {
          expect(await reader.head(`${folder}/a`)).toBeNull();
          expect(await reader.get(`${folder}/a`)).toBeNull();
          expect(await textOf(await reader.get(`${folder}/ab`))).toBe("ab");
          expect(await textOf(await reader.get(`${folder}/c/d`))).toBe("c");
        }
      });

      it("lets a reader read on, or fail", async () => {
        const length = 3_000_000;
        await store.put(key, describedAs(length), new Uint8Array(length).fill(1));
        const held = await store.get(key);
        await store.delete([key]);
        const read = await new Response(held!.body).arrayBuffer().catch(() => null);
        expect(read === null || (read.byteLength === length && new Uint8Array(read).every((byte) => byte === 1))).toBe(true);
      });

      it("leaves the slices of a head", async () => {
        const object = describedAs(10, { sliceBytes: 5 });
        await store.put(key, object, new Uint8Array());
        await store.putSlice(object.version, 0, bytesOf("hello"));
        await store.delete([key]);
        expect(await readSlice(await store.getSlice(object.version, 0))).toBe("hello");
      });

      it("takes more keys than one call of the medium does", async () => {
        await put(TEXT);
        await store.delete([...Array.from({ length: 1001 }, (_, at) => `${folder}/none-${at}`), key]);
        expect(await store.head(key)).toBeNull();
      });
    });

    describe("a slice", () => {
      it("is stored once and not replaced", async () => {
        const version = newVersion();
        expect(await store.getSlice(version, 0)).toBeNull();
        expect(await store.putSlice(version, 0, bytesOf(TEXT))).toBe("stored");
        const another = bytesOf("other bytes");
        expect(another).toHaveLength(TEXT.length);
        expect(await store.putSlice(version, 0, another)).toBe("exists");
        expect(await makeStore().putSlice(version, 0, another)).toBe("exists");
        expect(await readSlice(await store.getSlice(version, 0))).toBe(TEXT);
        expect(await store.getSlice(version, 1)).toBeNull();
        expect(await store.getSlice(newVersion(), 0)).toBeNull();
      });

      it.each([
        ["shorter", "hello"],
        ["empty", ""],
        ["longer", `${TEXT} and more`],
      ])("that is %s than it must be is replaced by the next put, in whatever process", async (_, damaged) => {
        for (const writer of [store, makeStore()]) {
          const version = newVersion();
          await store.putSlice(version, 0, bytesOf(damaged));
          expect(await writer.putSlice(version, 0, bytesOf(TEXT))).toBe("stored");
          expect(await readSlice(await store.getSlice(version, 0))).toBe(TEXT);
          expect(await writer.putSlice(version, 0, bytesOf(TEXT))).toBe("exists");
        }
      });

      it("lets a reader read on, or fail, while a put replaces it", async () => {
        const version = newVersion();
        await store.putSlice(version, 0, new Uint8Array(2_000_000).fill(1));
        const held = await store.getSlice(version, 0);
        await store.putSlice(version, 0, new Uint8Array(2_000_001).fill(2));
        const read = await new Response(held).arrayBuffer().catch(() => null);
        expect(read === null || (read.byteLength === 2_000_000 && new Uint8Array(read).every((byte) => byte === 1))).toBe(true);
      });

      it("has one winner among leaders that put it at once", async () => {
        const version = newVersion();
        const done = await Promise.all(Array.from({ length: 8 }, (_, at) => store.putSlice(version, 3, bytesOf(`leader ${at}`))));
        expect(done.toSorted()).toEqual([...Array<string>(7).fill("exists"), "stored"]);
        expect(await readSlice(await store.getSlice(version, 3))).toBe(`leader ${done.indexOf("stored")}`);
      });

      it.each<[number | undefined, number | undefined, string | null]>([
        [undefined, undefined, TEXT],
        [0, undefined, TEXT],
        [6, undefined, "world"],
        [0, 5, "hello"],
        [6, 5, "world"],
        [10, 1, "d"],
        [6, 6, null],
        [0, 12, null],
        [11, 1, null],
        [11, undefined, null],
        [500, undefined, null],
      ])("from %s on, %s bytes of it, is %j of eleven", async (offset, length, expected) => {
        const version = newVersion();
        await store.putSlice(version, 0, bytesOf(TEXT));
        expect(await readSlice(await store.getSlice(version, 0, offset, length))).toBe(expected);
      });

      it("is no object", async () => {
        const version = newVersion();
        await store.putSlice(version, 0, bytesOf(TEXT));
        expect(await store.head(sliceKey(version, 0))).toBeNull();
        expect(await store.get(sliceKey(version, 0))).toBeNull();
      });

      it("is listed under -/v/ with its length, and deleted by its key", async () => {
        const version = newVersion();
        for (let index = 0; index < 12; index++) await store.putSlice(version, index, bytesOf("x".repeat(index + 1)));
        const { objects } = await store.list({ prefix: `-/v/${version}/` });
        expect(objects.map(({ key: listed, size }) => `${listed} ${size}`).toSorted()).toEqual(
          Array.from({ length: 12 }, (_, index) => `${sliceKey(version, index)} ${index + 1}`).toSorted(),
        );
        for (const prefix of ["-/v/", "-/", `-/v/${version.slice(0, 1)}`, `-/v/${version.slice(0, 9)}`]) {
          expect((await listKeys(store, prefix, 1000)).flat()).toContain(sliceKey(version, 11));
        }
        expect((await listKeys(store, `-/v/${version}/1`, 2)).flat().toSorted()).toEqual(
          [1, 10, 11].map((index) => sliceKey(version, index)),
        );

        await store.delete([sliceKey(version, 0), sliceKey(version, 5), sliceKey(newVersion(), 0)]);
        expect(await store.getSlice(version, 5)).toBeNull();
        expect(await readSlice(await store.getSlice(version, 6))).toBe("x".repeat(7));
        await store.delete(Array.from({ length: 12 }, (_, index) => sliceKey(version, index)));
        expect((await store.list({ prefix: `-/v/${version}` })).objects).toEqual([]);
        expect(await store.putSlice(version, 5, bytesOf("again"))).toBe("stored");
      });
    });

    describe("a list", () => {
      it("is empty where nothing has the prefix", async () => {
        expect(await store.list({ prefix: `${folder}/` })).toEqual({ objects: [] });
      });

      it("tells the bytes of slices and when they were stored", async () => {
        const before = Date.now();
        const version = newVersion();
        await store.putSlice(version, 0, bytesOf(TEXT));
        const { objects } = await store.list({ prefix: `-/v/${version}/` });
        expect(objects.map(({ key: listed, size }) => `${listed} ${size}`)).toEqual([`${sliceKey(version, 0)} ${TEXT.length}`]);
        // Whole seconds are enough, and a clock of the medium's own may be a little off.
        for (const { uploadedAt = 0 } of objects) expect(Math.abs(uploadedAt - before)).toBeLessThan(60_000);
      });

      it("gives every key once, a page at a time, in the order of keys", async () => {
        const names = [
          "a/b/c",
          "a/b/d",
          "a/bb",
          "a/x",
          "a.b",
          "a-b.json",
          "a%b",
          "a b/c",
          "a//b",
          "a/.b",
          "b.json/c",
          "b/a/a/a",
          "b/b",
          "c",
        ];
        const keys = [...names, "d/e/f/g/h", "z", `y/${"y".repeat(200)}`, `y/${"y".repeat(180)}-`].map((name) => `${folder}/${name}`);
        for (const one of keys) await put(one, {}, one);
        for (const limit of [1, 3, 5, 10, 1000]) {
          const pages = await listKeys(store, `${folder}/`, limit);
          expect(pages.flat()).toEqual(keys.toSorted());
          expect(pages.every((page) => page.length <= limit)).toBe(true);
        }
      });

      it("goes on where it was though listed keys are deleted meanwhile", async () => {
        for (let at = 0; at < 9; at++) await put("x", {}, `${folder}/${at % 3}/${at}`);
        const seen: string[] = [];
        let cursor: string | undefined;
        do {
          const page = await store.list({ prefix: folder, limit: 2, ...(cursor !== undefined && { cursor }) });
          seen.push(...page.objects.map(({ key: listed }) => listed));
          await store.delete(page.objects.map(({ key: listed }) => listed));
          cursor = page.cursor;
        } while (cursor !== undefined);
        expect(new Set(seen).size).toBe(9);
      });

      it.each<[string, string[]]>([
        ["", ["Packages/x.rpm", "Packages.d/y", "pack/z", "v1.json/data"]],
        ["P", ["Packages/x.rpm", "Packages.d/y"]],
        ["Packages", ["Packages/x.rpm", "Packages.d/y"]],
        ["Packages/", ["Packages/x.rpm"]],
        ["Packages/x.", ["Packages/x.rpm"]],
        ["Packages/x.rpm", ["Packages/x.rpm"]],
        ["Packages/x.rpm/", []],
        ["v1.js", ["v1.json/data"]],
        ["v1.json/d", ["v1.json/data"]],
        ["q", []],
      ])("takes the prefix %j as characters, not as a folder", async (prefix, expected) => {
        for (const name of ["Packages/x.rpm", "Packages.d/y", "pack/z", "v1.json/data"]) await put("x", {}, `${folder}/${name}`);
        const listed = (await listKeys(store, `${folder}/${prefix}`, 1000)).flat();
        expect(listed.toSorted()).toEqual(expected.map((name) => `${folder}/${name}`).toSorted());
      });

      it("shows objects and slices together without a prefix", async () => {
        await put(TEXT);
        const version = newVersion();
        await store.putSlice(version, 0, bytesOf(TEXT));
        const listed = (await listKeys(store, "", 1000)).flat();
        expect(listed).toContain(key);
        expect(listed).toContain(sliceKey(version, 0));
      });
    });
  });
}
