import { env } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";
import { createDiskMemory } from "../../src/store/disk-memory.ts";
import { nameDamaged } from "../../src/store/disk-meta.ts";
import { createDiskStore } from "../../src/store/disk-store.ts";
import { createHotBodies, type HotBodies } from "../../src/store/hot-bodies.ts";
import { newVersion, sliceKey } from "../../src/store/keys.ts";
import type { ObjectStore } from "../../src/store/object-store.ts";
import { suspectsOf } from "../../src/store/power-cut.ts";
import type { StoredObject } from "../../src/store/stored-object.ts";
import { bytesOf, describeObjectStore, describedAs, textOf } from "./object-store.ts";

const { DISK } = env as unknown as { readonly DISK: Fetcher };
const TEXT = "hello world";

/** Stands before a call to the disk: `pass` makes it. */
type Intercept = (call: string, pass: () => Promise<Response>) => Promise<Response>;

function intercept(step: Intercept): Fetcher {
  return {
    fetch: (url: string, init?: RequestInit) => step(`${init?.method} ${new URL(url).pathname}`, () => DISK.fetch(url, init)),
  } as unknown as Fetcher;
}

/** A store as of a new process: nothing in memory. */
function newStore(disk = DISK): ObjectStore {
  return createDiskStore(disk, { memory: createDiskMemory() });
}

async function statusOf(method: string, path: string, body?: string): Promise<number> {
  const response = await DISK.fetch(`http://disk/${path}`, { method, ...(body !== undefined && { body }) });
  await response.body?.cancel();
  return response.status;
}

async function readFile(path: string): Promise<string | null> {
  const response = await DISK.fetch(`http://disk/${path}`);
  const text = new TextDecoder().decode(await response.arrayBuffer());
  return response.status === 200 ? text : null;
}

describeObjectStore("the disk store", () => newStore());

describe("the disk store", () => {
  let store: ObjectStore;
  let folder: string;
  let key: string;
  let meta: string;
  let body: string;

  beforeEach(() => {
    store = newStore();
    folder = `debian/${newVersion()}`;
    key = `${folder}/x.deb`;
    meta = `meta/${key}.json`;
    body = `objects/${key}`;
  });

  async function put(text: string, changes: Partial<StoredObject> = {}, at = key): Promise<StoredObject> {
    const object = describedAs(bytesOf(text).length, changes);
    await store.put(at, object, bytesOf(text));
    return object;
  }

  async function expectMiss(reader: ObjectStore, at = key): Promise<void> {
    expect(await reader.get(at)).toBeNull();
    expect(await reader.head(at)).toBeNull();
  }

  describe("in its folder", () => {
    it("keeps a body alone under its natural path, and what is known of it beside", async () => {
      const object = await put(TEXT);
      expect(await readFile(body)).toBe(TEXT);
      expect(JSON.parse((await readFile(meta)) ?? "")).toEqual({ key, object });
    });

    it("keeps no file for the body of a sliced object, nor the inline one before it", async () => {
      await put(TEXT);
      await store.put(key, describedAs(10, { sliceBytes: 5 }), new Uint8Array());
      expect(await statusOf("HEAD", body)).toBe(404);
    });

    it("keeps the slices of a version in one folder, and takes it away with the last", async () => {
      const version = newVersion();
      await store.putSlice(version, 0, bytesOf("a"));
      await store.putSlice(version, 1, bytesOf("b"));
      expect(await readFile(`slices/${version.slice(0, 2)}/${version}/1`)).toBe("b");
      await store.delete([sliceKey(version, 0)]);
      expect(await statusOf("HEAD", `slices/${version.slice(0, 2)}/${version}`)).toBe(200);
      await store.delete([sliceKey(version, 1)]);
      expect(await statusOf("HEAD", `slices/${version.slice(0, 2)}/${version}`)).toBe(404);
    });

    it("leaves nothing of a deleted object", async () => {
      await put(TEXT);
      await store.delete([key]);
      expect([await statusOf("HEAD", body), await statusOf("HEAD", meta)]).toEqual([404, 404]);
    });
  });

  describe("'s bodies in memory", () => {
    const LOOK_MS = 60_000;
    let calls: string[];
    let time: number;
    let hot: HotBodies;
    let hotStore: ObjectStore;

    beforeEach(() => {
      calls = [];
      time = 1_000_000;
      hot = createHotBodies(1_000, () => time);
      const counted = intercept((call, pass) => {
        calls.push(call);
        return pass();
      });
      hotStore = createDiskStore(counted, { memory: createDiskMemory(), hot });
    });

    /** Puts an object whose body is in memory. */
    async function putHot(text: string): Promise<void> {
      await hotStore.put(key, describedAs(bytesOf(text).length), bytesOf(text));
      for (let reads = 0; reads < 2; reads++) expect(await textOf(await hotStore.get(key))).toBe(text);
      calls.length = 0;
    }

    it("come in with the second read, and are given whole or in part without a disk call", async () => {
      await putHot(TEXT);
      expect(await textOf(await hotStore.get(key))).toBe(TEXT);
      expect(await textOf(await hotStore.get(key, { first: 6, last: 8 }))).toBe("wor");
      expect(await textOf(await hotStore.get(key, { suffix: 5 }))).toBe("world");
      expect((await hotStore.get(key, { first: 99 }))?.body).toBeNull();
      expect(calls).toEqual([]);
      expect(hot.figures()).toEqual({ bodies: 1, bytes: TEXT.length, maxBytes: 1_000, hits: 3 });
    });

    it("are never those of an earlier object", async () => {
      await putHot(TEXT);
      await hotStore.put(key, describedAs(5), bytesOf("other"));
      expect(await textOf(await hotStore.get(key))).toBe("other");
      await putHot("third");
      await hotStore.delete([key]);
      await expectMiss(hotStore);
    });

    it("are not given to who compares them with their digest", async () => {
      await putHot(TEXT);
      await DISK.fetch(`http://disk/${body}`, { method: "PUT", body: "HELLO WORLD" });
      expect(await textOf(await hotStore.get(key, undefined, { isCompared: true }))).toBe("HELLO WORLD");
    });

    it("hide for a minute at most that their file is gone", async () => {
      await putHot(TEXT);
      await DISK.fetch(`http://disk/${body}`, { method: "DELETE" });
      time += LOOK_MS - 1;
      expect(await textOf(await hotStore.get(key))).toBe(TEXT);
      time += 1;
      await expectMiss(hotStore);
    });

    it("are looked at on the disk once a minute, and stay while their file does", async () => {
      await putHot(TEXT);
      time += LOOK_MS;
      for (let reads = 0; reads < 3; reads++) expect(await textOf(await hotStore.get(key))).toBe(TEXT);
      expect(calls).toEqual([`HEAD /${body}`]);
    });

    it("are not held where the disk gives fewer bytes than it said", async () => {
      await hotStore.put(key, describedAs(TEXT.length), bytesOf(TEXT));
      const cut = intercept(async (call, pass) => {
        const response = await pass();
        if (call !== `GET /${body}`) return response;
        await response.body?.cancel();
        return new Response("hello", { headers: { "Content-Length": String(TEXT.length), "Last-Modified": new Date().toUTCString() } });
      });
      const cutStore = createDiskStore(cut, { memory: createDiskMemory(), hot });
      await (await cutStore.get(key))?.body?.cancel();
      await expect(cutStore.get(key)).rejects.toMatchObject({ name: "StoreError", kind: "unavailable" });
      expect(hot.figures()).toMatchObject({ bodies: 0, bytes: 0 });
    });

    it("are not held where the object was written while they were read", async () => {
      await hotStore.put(key, describedAs(TEXT.length), bytesOf(TEXT));
      await (await hotStore.get(key))?.body?.cancel();
      const read = hotStore.get(key);
      await hotStore.put(key, describedAs(5), bytesOf("other"));
      await (await read)?.body?.cancel();
      expect(await textOf(await hotStore.get(key))).toBe("other");
    });
  });

  describe("'s cost", () => {
    it("is one disk call for a key in memory or a part of it, none for the head of a sliced object, two after a start", async () => {
      await put(TEXT);
      await store.put(`${folder}/sliced`, describedAs(10, { sliceBytes: 5 }), new Uint8Array());
      const calls: string[] = [];
      const counted = newStore(
        intercept((call, pass) => {
          calls.push(call);
          return pass();
        }),
      );
      expect(await textOf(await counted.get(key))).toBe(TEXT);
      expect(calls.splice(0)).toEqual([`GET /${meta}`, `GET /${body}`]);
      expect(await textOf(await counted.get(key))).toBe(TEXT);
      expect(await textOf(await counted.get(key, { suffix: 5 }))).toBe("world");
      expect(calls.splice(0)).toEqual([`GET /${body}`, `GET /${body}`]);
      await counted.get(`${folder}/sliced`);
      calls.length = 0;
      await counted.get(`${folder}/sliced`);
      await counted.head(key);
      expect(calls).toEqual([]);
    });

    it("is two disk calls for a put of what was just missed, three where something may lie there", async () => {
      const calls: string[] = [];
      const disk = intercept((call, pass) => {
        calls.push(call);
        return pass();
      });
      const counted = newStore(disk);
      const write = (): Promise<unknown> => counted.put(key, describedAs(TEXT.length), bytesOf(TEXT));
      await expectMiss(counted);
      calls.length = 0;
      await write();
      expect(calls.splice(0)).toEqual([`PUT /${body}`, `PUT /${meta}`]);
      await write();
      expect(calls.splice(0)).toEqual([`DELETE /${meta}`, `PUT /${body}`, `PUT /${meta}`]);
      await counted.delete([key]);
      calls.length = 0;
      await write();
      expect(calls.splice(0)).toEqual([`DELETE /${meta}`, `PUT /${body}`, `PUT /${meta}`]);
      // A key of the same letters is another file where case counts: that it is missing says nothing of this one.
      expect(await counted.get(`${folder}/X.deb`)).toBeNull();
      calls.length = 0;
      await write();
      expect(calls).toEqual([`DELETE /${meta}`, `PUT /${body}`, `PUT /${meta}`]);
    });

    it("in memory is bounded: what was used longest ago is read again", async () => {
      const calls: string[] = [];
      const disk = intercept((call, pass) => {
        calls.push(call);
        return pass();
      });
      const small = createDiskStore(disk, { memory: createDiskMemory({ knownObjects: 2 }) });
      for (const name of ["a", "b"]) await small.put(`${folder}/${name}`, describedAs(1), bytesOf(name));
      await small.head(`${folder}/a`);
      await small.put(`${folder}/c`, describedAs(1), bytesOf("c"));
      calls.length = 0;
      await small.head(`${folder}/a`);
      expect(calls).toEqual([]);
      await small.head(`${folder}/b`);
      expect(calls).toEqual([`GET /meta/${folder}/b.json`]);
    });
  });

  describe("finds a miss, and can store again,", () => {
    it.each<[string, (object: StoredObject) => string]>([
      ["is empty", () => ""],
      ["is cut", (object) => JSON.stringify({ key, object }).slice(0, 60)],
      ["is no JSON object", () => "null"],
      ["has another shape", () => JSON.stringify({ key, object: { size: "big" } })],
      ["has no key", (object) => JSON.stringify({ object })],
      ["has another key, as where the file system ignores case", (object) => JSON.stringify({ key: key.toUpperCase(), object })],
      ["is much too long", (object) => JSON.stringify({ key, object }) + " ".repeat(100_000)],
      ["is of zeros, as a power cut may leave it", () => "\0".repeat(300)],
    ])("where the metadata %s", async (damage, write) => {
      const object = await put(TEXT);
      await statusOf("PUT", meta, write(object));
      const named: string[] = [];
      await expectMiss(createDiskStore(DISK, { memory: createDiskMemory(), onDamaged: nameDamaged((line) => named.push(line)) }));
      expect(named.length).toBeLessThanOrEqual(1);
      if (/empty|cut|zeros|no JSON|shape/.test(damage)) expect(named).toEqual([expect.stringContaining(meta)]);
      expect(await newStore().put(key, object, bytesOf(TEXT), { ifAbsent: true })).toBe("stored");
      expect(await textOf(await newStore().get(key))).toBe(TEXT);
    });

    it("where the metadata is gone", async () => {
      await put(TEXT);
      await statusOf("DELETE", meta);
      await expectMiss(newStore());
      expect(await store.put(key, describedAs(4), bytesOf("next"), { ifAbsent: true })).toBe("stored");
      expect(await textOf(await store.get(key))).toBe("next");
    });

    it.each<[string, (reader: ObjectStore) => Promise<unknown>]>([
      ["was cut", async () => statusOf("PUT", body, TEXT.slice(0, 5))],
      ["grew", async () => statusOf("PUT", body, `${TEXT}!`)],
      ["is gone", async () => statusOf("DELETE", body)],
      [
        "is a folder now",
        async () => {
          await statusOf("DELETE", body);
          await statusOf("PUT", `${body}/file`, TEXT);
        },
      ],
    ])("where the body %s, in memory or not, and for a part as for the whole", async (_, damage) => {
      for (const reader of [store, newStore()]) {
        for (const wanted of [undefined, { first: 0, last: 1 }, { suffix: 2 }]) {
          await statusOf("DELETE", body);
          await put(TEXT);
          await damage(reader);
          expect(await reader.get(key, wanted)).toBeNull();
          await expectMiss(newStore());
        }
      }
      await statusOf("DELETE", body);
      await put("next");
      expect(await textOf(await store.get(key))).toBe("next");
    });

    it("where an empty object's body is a folder", async () => {
      await put("");
      await statusOf("DELETE", body);
      await statusOf("PUT", `${body}/file`, TEXT);
      expect(await store.get(key)).toBeNull();
    });
  });

  describe("killed in the middle of a put", () => {
    // Every call of a replacement may be the last one that the disk sees.
    it.each([0, 1, 2, 3])("after %i disk calls shows the old version, the new one, or none", async (calls) => {
      const before = await put("old bytes");
      const after = describedAs(9);
      let left = calls;
      const dying = newStore(
        intercept(async (_, pass) => {
          if (left-- > 0) return pass();
          throw new Error("killed");
        }),
      );
      const done = await dying.put(key, after, bytesOf("new bytes")).catch(() => "killed");
      expect(done).toBe(calls === 3 ? "stored" : "killed");
      const found = await newStore().get(key);
      const text = await textOf(found);
      expect([
        [before, "old bytes"],
        [after, "new bytes"],
        [undefined, null],
      ]).toContainEqual([found?.object, text]);
      expect(found === null).toBe(calls === 1 || calls === 2);
      await put("next");
      expect(await textOf(await newStore().get(key))).toBe("next");
    });

    it("and with the failure reported, shows in memory what lies on the disk", async () => {
      await put("old bytes");
      let isFull = true;
      const filling = newStore(
        intercept((call, pass) => {
          if (isFull && call.startsWith("PUT")) return Promise.resolve(new Response(null, { status: 500 }));
          return pass();
        }),
      );
      await filling.get(key);
      await expect(filling.put(key, describedAs(3), bytesOf("new"))).rejects.toMatchObject({ name: "StoreError", kind: "unavailable" });
      await expectMiss(filling);
      await expect(filling.putSlice(newVersion(), 0, bytesOf("x"))).rejects.toMatchObject({ name: "StoreError", kind: "unavailable" });
      isFull = false;
      await filling.put(key, describedAs(3), bytesOf("new"));
      expect(await textOf(await filling.get(key))).toBe("new");
    });
  });

  describe("after a power cut", () => {
    const suspecting = (disk = DISK, onDamaged: (path: string) => void = () => {}): ObjectStore =>
      createDiskStore(disk, { memory: createDiskMemory(), isSuspect: (modifiedAt) => modifiedAt > 0, onDamaged });
    const sha256Of = async (text: string): Promise<string> =>
      Array.from(new Uint8Array(await crypto.subtle.digest("SHA-256", bytesOf(text))), (byte) => byte.toString(16).padStart(2, "0")).join(
        "",
      );

    it("serves a suspect object whose bytes have their digest, and compares them once", async () => {
      const object = await put(TEXT, { sha256: await sha256Of(TEXT) });
      const calls: string[] = [];
      const after = suspecting(
        intercept((call, pass) => {
          calls.push(call);
          return pass();
        }),
      );
      expect(await textOf(await after.get(key, { first: 0, last: 4 }))).toBe("hello");
      calls.length = 0;
      expect((await after.get(key))?.object).toEqual(object);
      expect(await textOf(await after.get(key))).toBe(TEXT);
      expect(calls).toEqual([`GET /${body}`, `GET /${body}`]);
    });

    it.each([
      ["of zeros", async () => sha256Of(TEXT), "\0".repeat(TEXT.length)],
      ["of other bytes", async () => sha256Of(TEXT), "other bytes"],
      ["without a digest, which nothing can tell from another", async () => undefined, TEXT],
    ])("fetches a suspect object anew that is %s", async (_, digest, found) => {
      const sha256 = await digest();
      await put(TEXT, sha256 === undefined ? {} : { sha256 });
      await statusOf("PUT", body, found);
      const damaged: string[] = [];
      const after = suspecting(DISK, (path) => damaged.push(path));
      for (const wanted of [{ first: 0, last: 0 }, undefined]) expect(await after.get(key, wanted)).toBeNull();
      await expectMiss(newStore());
      expect(damaged).toEqual([body]);
      await after.put(key, describedAs(4), bytesOf("next"));
      expect(await textOf(await after.get(key))).toBe("next");
    });

    it("fetches suspect slices anew", async () => {
      const version = newVersion();
      await store.putSlice(version, 0, bytesOf(TEXT));
      await store.putSlice(version, 1, bytesOf(TEXT));
      const after = suspecting();
      expect(await after.getSlice(version, 0, 2, 3)).toBeNull();
      expect(await newStore().getSlice(version, 0)).toBeNull();
      expect(await after.putSlice(version, 1, bytesOf("other bytes"))).toBe("stored");
      expect(
        await newStore()
          .getSlice(version, 1)
          .then(async (slice) => new Response(slice).text()),
      ).toBe("other bytes");
    });

    it("suspects nothing that was written before or after", async () => {
      await put(TEXT);
      const isSuspect = suspectsOf(
        [
          [0, Date.now() - 60_000],
          [Date.now() - 1, Date.now() + 120_000],
        ],
        Date.now,
      );
      expect(await textOf(await createDiskStore(DISK, { memory: createDiskMemory(), isSuspect }).get(key))).toBe(TEXT);
      expect([suspectsOf([], Date.now), suspectsOf(undefined, Date.now), suspectsOf("x", Date.now)]).toEqual([null, null, null]);
      expect([isSuspect?.(0), isSuspect?.(Date.now())]).toEqual([true, false]);
    });
  });

  describe("on a full disk", () => {
    const full = (): ObjectStore =>
      newStore(intercept((call, pass) => (call.startsWith("PUT") ? Promise.resolve(new Response(null, { status: 500 })) : pass())));

    it("keeps an object of which only what is known changes", async () => {
      const object = await put(TEXT);
      const head = describedAs(10, { sliceBytes: 5 });
      await store.put(`${folder}/sliced`, head, new Uint8Array());
      const filled = full();
      const renewed = { ...object, storedAt: object.storedAt + 1 };
      await expect(filled.put(key, renewed, bytesOf(TEXT), { ifVersion: object.version })).rejects.toMatchObject({ kind: "unavailable" });
      await expect(filled.put(`${folder}/sliced`, head, new Uint8Array(), { ifVersion: head.version })).rejects.toMatchObject({
        kind: "unavailable",
      });
      for (const reader of [filled, newStore()]) {
        expect((await reader.get(key))?.object).toEqual(object);
        expect(await textOf(await reader.get(key))).toBe(TEXT);
        expect(await reader.head(`${folder}/sliced`)).toEqual(head);
      }
      expect(await newStore().put(key, renewed, bytesOf(TEXT), { ifVersion: object.version })).toBe("stored");
      expect((await newStore().get(key))?.object).toEqual(renewed);
    });
  });

  describe("between two calls of a reader", () => {
    /** Replaces the object once, as soon as `call` has been answered. */
    function replaceAfter(call: string, text: string): { readonly reader: ObjectStore; readonly object: StoredObject } {
      const object = describedAs(text.length);
      const memory = createDiskMemory();
      const writer = createDiskStore(DISK, { memory });
      let isDone = false;
      const disk = intercept(async (seen, pass) => {
        const response = await pass();
        if (seen === call && !isDone) {
          isDone = true;
          await writer.put(key, object, bytesOf(text));
        }
        return response;
      });
      return { reader: createDiskStore(disk, { memory }), object };
    }

    it.each(["meta", "body"])("may be a replacement of equal length: the %s it holds is not used", async (which) => {
      await put("old bytes");
      const { reader, object } = replaceAfter(`GET /${which === "meta" ? meta : body}`, "new bytes");
      const found = await reader.get(key);
      expect(found?.object).toEqual(object);
      expect(await textOf(found)).toBe("new bytes");
    });

    it("may be the first put: the miss it saw is not remembered", async () => {
      const { reader, object } = replaceAfter(`GET /${meta}`, "new bytes");
      await reader.head(key);
      expect(await reader.head(key)).toEqual(object);
    });

    it("may be one write after the other: it gives up", async () => {
      const memory = createDiskMemory();
      const writer = createDiskStore(DISK, { memory });
      await writer.put(key, describedAs(1), bytesOf("x"));
      const disk = intercept(async (_, pass) => {
        const response = await pass();
        await writer.put(key, describedAs(1), bytesOf("x"));
        return response;
      });
      await expect(createDiskStore(disk, { memory }).get(key)).rejects.toMatchObject({ name: "StoreError", kind: "busy" });
    });
  });

  describe("under a write that never ends", () => {
    it("lets the next one begin when its time is over, and keeps no reader for ever", async () => {
      await put("old bytes");
      const memory = createDiskMemory({ writeLimitMs: 1 });
      const reached = Promise.withResolvers<void>();
      // A request whose client left: its calls are dropped, its promises stay open.
      const dropped = createDiskStore(
        intercept(async (call, pass) => {
          if (!call.startsWith("PUT")) return pass();
          reached.resolve();
          return new Promise<Response>(() => {});
        }),
        { memory },
      );
      void dropped.put(key, describedAs(3), bytesOf("new"));
      await reached.promise;
      const next = createDiskStore(DISK, { memory });
      const [found, done] = await Promise.all([next.head(key), next.put(key, describedAs(4), bytesOf("next"))]);
      expect(done).toBe("stored");
      expect(found === null || found.size === 4).toBe(true);
      expect(await textOf(await next.get(key))).toBe("next");
    });
  });

  describe("where a file stands in the way", () => {
    it("of a folder, the file goes: it was a listing under the folder's name", async () => {
      await put(TEXT);
      await put("below", {}, `${key}/below`);
      expect(await textOf(await newStore().get(`${key}/below`))).toBe("below");
      await expectMiss(store, key);
    });

    it("or rather a folder in that of a file, refuses the put and keeps the others", async () => {
      await put(TEXT);
      await expect(store.put(folder, describedAs(1), bytesOf("x"))).rejects.toMatchObject({ kind: "unavailable" });
      await expectMiss(store, folder);
      await store.delete([folder]);
      expect(await textOf(await newStore().get(key))).toBe(TEXT);
    });

    it("does not take `a.json/…` for the metadata of `a`", async () => {
      await put("a", {}, `${folder}/a`);
      await put("b", {}, `${folder}/a.json/b`);
      await store.delete([`${folder}/a`]);
      expect(await textOf(await newStore().get(`${folder}/a.json/b`))).toBe("b");
    });
  });
});
