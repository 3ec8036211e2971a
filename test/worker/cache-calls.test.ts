import { expect, test } from "vitest";
import { newVersion } from "../../src/store/keys.ts";
import { createR2Store } from "../../src/store/r2-store.ts";
import { contentOf } from "../support/content.ts";

/** Looks into the data centre's cache, by what they look for. */
let looks: string[] = [];
const { default: real } = caches;
const counted: Pick<Cache, "match" | "put" | "delete"> = {
  match(request) {
    const url = request instanceof Request ? request.url : String(request);
    looks.push(/\/-\/cached\/(\w+)/.exec(url)?.[1] ?? url);
    return real.match(request);
  },
  put: (...entry) => real.put(...entry),
  delete: (request) => real.delete(request),
};
Object.defineProperty(globalThis, "caches", { value: { default: counted } });
// The Worker takes the cache as it is when it starts.
const { createMeteredWorker } = await import("../support/metered-worker.ts");

const SIZE = 200_000;
const { fetch, bucket } = createMeteredWorker({
  vars: { MIRRORS: { fedora: { distro: "fedora", upstreams: ["http://origin.test/fedora"] } } },
});

test("several ranges of a small file take one look into the cache each, and one for the head: Cloudflare allows 50 calls on the free plan", async () => {
  const path = "fedora/os/Packages/ranges.rpm";
  const facts = { version: newVersion(), size: SIZE, storedAt: Date.now(), contentType: "application/x-rpm", verified: "digest" } as const;
  await createR2Store(bucket).put(path, { ...facts, upstream: "http://origin.test/fedora" }, contentOf(SIZE));
  await fetch(`/${path}`);
  const ranges = Array.from({ length: 30 }, (_, at) => `${at * 5_000}-${at * 5_000 + 999}`);
  looks = [];
  const { response, bytes, bill } = await fetch(`/${path}`, { headers: { range: `bytes=${ranges.join(",")}` } });
  expect(response.status).toBe(206);
  expect(bytes.length).toBeGreaterThan(30_000);
  expect(bill.classB).toEqual([]);
  expect(looks.filter((look) => look === "head")).toHaveLength(1);
  expect(looks.length).toBeLessThan(50);
});
