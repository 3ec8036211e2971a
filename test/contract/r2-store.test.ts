import { env } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { newVersion, sliceKey } from "../../src/store/keys.ts";
import { createR2Store } from "../../src/store/r2-store.ts";
import { bytesOf, describeObjectStore, describedAs, textOf } from "./object-store.ts";

const { BUCKET } = env as unknown as { readonly BUCKET: R2Bucket };

/** The bucket, with the name of each call it gets. */
function recordCalls(bucket: R2Bucket, calls: string[]): R2Bucket {
  return new Proxy(bucket, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      return (...parameters: unknown[]) => {
        calls.push(String(name));
        return Reflect.apply(value, target, parameters);
      };
    },
  });
}

/** A bucket that is not well. */
function failWith(message: string): R2Bucket {
  async function fail(): Promise<never> {
    throw new Error(message);
  }
  return { head: fail, get: fail, put: fail, delete: fail, list: fail } as unknown as R2Bucket;
}

describeObjectStore("the R2 store", () => createR2Store(BUCKET));

describe("the R2 store's cost", () => {
  it("is one operation for an object, inline or sliced, or for a part of it", async () => {
    const calls: string[] = [];
    const store = createR2Store(recordCalls(BUCKET, calls));
    await store.put("cost/inline", describedAs(5), bytesOf("hello"));
    await store.put("cost/sliced", describedAs(50, { sliceBytes: 5 }), new Uint8Array());
    calls.length = 0;
    await textOf(await store.get("cost/inline"));
    expect(calls.splice(0)).toEqual(["get"]);
    await textOf(await store.get("cost/inline", { first: 1, last: 2 }));
    expect(calls.splice(0)).toEqual(["get"]);
    await store.get("cost/sliced");
    expect(calls.splice(0)).toEqual(["get"]);
    for (const wanted of [{ first: 1, last: 2 }, { first: 7 }, { suffix: 3 }]) {
      expect(await store.get("cost/sliced", wanted)).toMatchObject({ object: { sliceBytes: 5 }, body: null });
      expect(calls.splice(0)).toEqual(["get"]);
    }
    await store.get("cost/none", { first: 1, last: 2 });
    expect(calls.splice(0)).toEqual(["get"]);
  });
});

describe("the R2 store's bucket", () => {
  it("can be read by a person: natural key, content type, metadata in plain ASCII", async () => {
    const object = describedAs(5, { etag: '"ü"' });
    await createR2Store(BUCKET).put("fedora/41/x.rpm", object, bytesOf("hello"));
    const found = await BUCKET.get("fedora/41/x.rpm");
    expect(await found?.text()).toBe("hello");
    expect(found?.httpMetadata?.contentType).toBe("application/x-rpm");
    expect(found?.customMetadata?.["object"]).toMatch(/^[\x20-\x7E]+$/);
    expect(JSON.parse(found?.customMetadata?.["object"] ?? "")).toEqual(object);
  });

  it.each<[string, R2PutOptions]>([
    ["without metadata", {}],
    ["with metadata that is no JSON", { customMetadata: { object: "{" } }],
    ["with metadata of another shape", { customMetadata: { object: '{"version":7}' } }],
    ["with metadata of another length", { customMetadata: { object: JSON.stringify(describedAs(6)) } }],
  ])("may hold a stray upload %s: a miss", async (_, options) => {
    await BUCKET.put("stray/x", "hello", options);
    const store = createR2Store(BUCKET);
    expect(await store.head("stray/x")).toBeNull();
    expect(await store.get("stray/x")).toBeNull();
    expect(await store.get("stray/x", { first: 0, last: 0 })).toBeNull();
    expect(await store.get("stray/x", { first: 9, last: 9 })).toBeNull();
    const object = describedAs(4);
    expect(await store.put("stray/x", object, bytesOf("ours"), { ifAbsent: true })).toBe("stored");
    expect(await store.put("stray/x", describedAs(4), bytesOf("next"), { ifAbsent: true })).toBe("exists");
    expect((await store.get("stray/x"))?.object).toEqual(object);
  });
});

describe("the R2 store's failures", () => {
  it.each([
    ["put: Reduce your concurrent request rate for the same object. (10058)", "busy"],
    ["put: Your proposed upload exceeds the maximum allowed object size. (100100)", "too-large"],
    ["put: We encountered an internal error. Please try again. (10001)", "unavailable"],
    ["Network connection lost.", "unavailable"],
  ])("of a put with %j are StoreError %s", async (message, kind) => {
    const failed = createR2Store(failWith(message)).put("x/y", describedAs(0), new Uint8Array());
    await expect(failed).rejects.toMatchObject({ name: "StoreError", kind });
  });

  it("of every other call are StoreError as well", async () => {
    const store = createR2Store(failWith("head: internal error (10001)"));
    const version = newVersion();
    const calls = [
      store.head("x/y"),
      store.get("x/y"),
      store.get("x/y", { first: 0, last: 0 }),
      store.delete(["x/y", sliceKey(version, 0)]),
      store.list({}),
      store.putSlice(version, 0, bytesOf("x")),
      store.getSlice(version, 0, 5, 5),
    ];
    for (const call of calls) await expect(call).rejects.toMatchObject({ name: "StoreError", kind: "unavailable" });
  });
});
