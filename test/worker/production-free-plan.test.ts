import { describe, expect, test } from "vitest";
import { createNativeStore } from "../../src/fill/native-store.ts";
import type { Target } from "../../src/route/target.ts";
import { newVersion } from "../../src/store/keys.ts";
import { createR2Store, createR2StreamPut } from "../../src/store/r2-store.ts";
import { contentOf } from "../support/content.ts";
import { createMeteredWorker } from "../support/metered-worker.ts";

const MIRRORS = {
  debian: { distro: "debian", upstreams: ["http://origin.test/debian"] },
  koji: { distro: "koji", upstreams: ["http://origin.test/koji"] },
};
const LARGE_BYTES = 6_000_000;

let refused: string | null = null;
const { fetch, bucket } = createMeteredWorker({
  vars: { PLAN: "free", MIRRORS },
  beforeBucket(method) {
    if (method === "put" && refused !== null) throw new Error(refused);
  },
});

describe("on the free plan a file that 10 ms cannot pump", () => {
  const path = `/debian/pool/${LARGE_BYTES}-large_1_all.deb`;

  test("is moved by the runtime, and stored by it as one object", async () => {
    const cold = await fetch(path);
    expect(cold.response.status).toBe(200);
    expect(cold.response.headers.get("content-length")).toBe(String(LARGE_BYTES));
    expect(cold.bytes).toEqual(contentOf(LARGE_BYTES));
    expect(cold.bill.classA).toEqual([`put ${path.slice(1)}`]);
    expect(cold.bill.classB).toHaveLength(1);
    expect(cold.bill).toMatchObject({ objects: ["FLIGHTS.claimSlice"], external: 2 });
    expect((await bucket.head(path.slice(1)))?.size).toBe(LARGE_BYTES);
  });

  test("is served from there, whole and in part", async () => {
    const warm = await fetch(path);
    expect(warm.response.headers.get("cache-status")).toContain("hit");
    expect(warm.bytes).toEqual(contentOf(LARGE_BYTES));
    expect(warm.bill).toMatchObject({ classA: [], objects: [], external: 0 });
    const part = await fetch(path, { headers: { range: "bytes=5000000-5000009" } });
    expect(part.response.status).toBe(206);
    expect(part.bytes).toEqual(contentOf(LARGE_BYTES).subarray(5_000_000, 5_000_010));
  });

  test("reaches the client also where the store refuses it", async () => {
    refused = "put: We encountered an internal error. Please try again. (10001)";
    const unstored = `/debian/pool/${LARGE_BYTES}-unstored_1_all.deb`;
    const { bytes } = await fetch(unstored);
    expect(bytes).toEqual(contentOf(LARGE_BYTES));
    refused = null;
    expect(await bucket.head(unstored.slice(1))).toBeNull();
  });

  test("is passed on in the part that is asked for, and that part is not stored", async () => {
    const cold = `/debian/pool/${LARGE_BYTES}-part_1_all.deb`;
    const { response, bytes, bill } = await fetch(cold, { headers: { range: "bytes=5000000-5000009" } });
    expect(response.status).toBe(206);
    expect(response.headers.get("content-range")).toBe(`bytes 5000000-5000009/${LARGE_BYTES}`);
    expect(bytes).toEqual(contentOf(LARGE_BYTES).subarray(5_000_000, 5_000_010));
    expect(bill.classA).toEqual([]);
  });

  test("is never stored where its class forbids it", async () => {
    const { bytes, bill } = await fetch(`/koji/work/${LARGE_BYTES}-upload.rpm`);
    expect(bytes).toHaveLength(LARGE_BYTES);
    expect(bill.classA).toEqual([]);
  });

  test("takes the place of the one that the data centre remembers: no client gets the old one after the new", async () => {
    const moving = `debian/${LARGE_BYTES}-latest.img`;
    const old = { version: newVersion(), size: 5_000_000, storedAt: Date.now() - 600_000, contentType: "application/x-img", etag: '"old"' };
    const facts = { ...old, verified: "length", upstream: "http://origin.test/debian" } as const;
    await createR2Store(bucket).put(moving, facts, contentOf(5_000_000));
    expect((await fetch(`/${moving}`)).bytes).toHaveLength(LARGE_BYTES);
    expect((await bucket.head(moving))?.size).toBe(LARGE_BYTES);
    expect((await fetch(`/${moving}`)).bytes).toHaveLength(LARGE_BYTES);
  });

  test("that the upstream cuts short is no whole body, and is not stored", async () => {
    const key = "debian/pool/cut_1_all.deb";
    const unstored: string[] = [];
    const native = createNativeStore({
      admit: async () => true,
      put: createR2StreamPut(bucket),
      now: () => 0,
      onStored: () => {},
      onUnstored: (at) => unstored.push(at),
    });
    const { readable, writable } = new FixedLengthStream(1_000_000);
    const [ours, theirs] = readable.tee();
    const target = { key } as Target;
    const upstream = { size: 1_000_000, upstream: "http://origin.test/debian" } as Parameters<typeof native.put>[1];
    const stored = native.put(target, upstream, theirs);
    const received = new Response(ours).arrayBuffer();
    const writer = writable.getWriter();
    const sent = writer.write(new Uint8Array(500_000)).then(() => writer.abort(new Error("connection lost")));
    await expect(received).rejects.toThrow("connection lost");
    await Promise.all([sent, stored]);
    expect(unstored).toEqual([key]);
    expect(await bucket.head(key)).toBeNull();
  });
});

test("on the free plan a small file is held, checked and stored as ever", async () => {
  const { response, bill } = await fetch("/debian/pool/5000-small_1_all.deb");
  expect(response.status).toBe(200);
  expect(bill.classA).toEqual(["put debian/pool/5000-small_1_all.deb"]);
  expect(bill.external).toBe(1);
});
