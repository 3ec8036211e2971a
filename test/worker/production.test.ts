import { env } from "cloudflare:test";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { newVersion } from "../../src/store/keys.ts";
import { createR2Store } from "../../src/store/r2-store.ts";
import type { RepositoryObject } from "../../src/worker.ts";
import { contentOf } from "../support/content.ts";
import { createMeteredWorker } from "../support/metered-worker.ts";

/** What the platform does in production and the simulator does not: each as a limit that the tests switch on. */
const limits = {
  /** R2 takes one write a second to a key. */
  writesAKeyMs: 0,
  /** Operations of R2 that a request has left. */
  operations: Infinity,
  /** Calls to Durable Objects that find them restarting. */
  restarting: null as RegExp | null,
  /** Operations of R2 that fail. */
  failing: null as RegExp | null,
};
const NO_LIMITS = { ...limits };
const writtenAt = new Map<string, number>();
let [atOnce, mostAtOnce] = [0, 0];

const FEDORA = { distro: "fedora", upstreams: ["http://origin.test/fedora"] };
const MIRRORS = { fedora: FEDORA, again: FEDORA };
const { fetch, fetchAtOnce, bucket } = createMeteredWorker({
  vars: { MIRRORS, SLICE_MIB: 1 },
  async beforeBucket(method, key) {
    if (--limits.operations < 0) throw new Error("Too many subrequests by single Worker invocation.");
    if (limits.failing?.test(`${method} ${key}`) === true) throw new Error(`${method}: We encountered an internal error. (10001)`);
    if (method === "put") {
      const before = writtenAt.get(key) ?? -Infinity;
      if (Date.now() - before < limits.writesAKeyMs)
        throw new Error("put: Reduce your concurrent request rate for the same object. (10058)");
      writtenAt.set(key, Date.now());
    }
    mostAtOnce = Math.max(mostAtOnce, ++atOnce);
    await Promise.resolve();
    atOnce--;
  },
  beforeObject(call) {
    if (limits.restarting?.test(call) === true) throw new Error("Durable Object reset because its code was updated.");
  },
});
const { REPOSITORIES } = env as unknown as { readonly REPOSITORIES: DurableObjectNamespace<RepositoryObject> };

const REPOMD = "/fedora/os/repodata/repomd.xml";
const SLICED_BYTES = 3_500_000;
let files = 0;
const newFile = (size: number): string => `/fedora/os/Packages/${size}-${files++}.rpm`;

beforeAll(async () => {
  await fetch(REPOMD);
  const directory = REPOSITORIES.get(REPOSITORIES.idFromName("fedora"));
  await vi.waitUntil(async () => (await directory.lookUp("os/x.rpm", 0)).tables.length > 0, { timeout: 20_000 });
});

afterEach(() => {
  Object.assign(limits, NO_LIMITS);
  mostAtOnce = 0;
});

describe("R2's limit of one write a second to a key", () => {
  test("is outwaited: a file in slices, whose head is written twice, is stored with its verdict", async () => {
    limits.writesAKeyMs = 1_000;
    const path = newFile(SLICED_BYTES);
    const { bytes } = await fetch(path);
    expect(bytes).toEqual(contentOf(SLICED_BYTES));
    const head = await bucket.head(path.slice(1));
    expect(JSON.parse(head?.customMetadata?.["object"] ?? "{}")).toMatchObject({
      size: SLICED_BYTES,
      verified: expect.not.stringMatching("none"),
    });
  });
});

describe("a Durable Object that is evicted or restarts", () => {
  test.each(["FLIGHTS", "REPOSITORIES.lookUp", "REPOSITORIES.listings", "REPOSITORIES", "LEDGER", "."])(
    "at %s keeps no client from a package, cold or warm",
    async (call) => {
      limits.restarting = new RegExp(`^${call}`);
      for (const size of [5_000, SLICED_BYTES]) {
        const path = newFile(size);
        for (const _ of ["cold", "warm"]) {
          const { response, bytes } = await fetch(path);
          expect(response.status).toBe(200);
          expect(bytes).toEqual(contentOf(size));
        }
      }
    },
  );

  test("is a trouble that passes to a client that asks for metadata", async () => {
    limits.restarting = /^REPOSITORIES/;
    const { response } = await fetch(`${REPOMD}.asc`);
    expect(response.status).toBe(503);
    expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
    limits.restarting = null;
    expect((await fetch(REPOMD)).response.status).toBe(200);
  });

  test("keeps no client from a root for which its repository has answered a moment ago", async () => {
    const root = "/again/os/repodata/repomd.xml";
    expect((await fetch(root)).response.status).toBe(200);
    limits.restarting = /^REPOSITORIES/;
    expect((await fetch(root)).response.status).toBe(200);
  });

  test("makes two leaders at worst: ten clients at once all get the file, and it is stored", async () => {
    limits.restarting = /^FLIGHTS/;
    const path = newFile(SLICED_BYTES);
    const { bytes } = await fetchAtOnce(path, 10);
    expect(bytes).toEqual(contentOf(SLICED_BYTES));
    limits.restarting = null;
    expect((await fetch(path)).response.headers.get("cache-status")).toContain("hit");
  });
});

describe("subrequests that are used up", () => {
  test.each([1, 2, 3])("after %i operations are never a whole body that is short", async (operations) => {
    const path = newFile(SLICED_BYTES);
    await fetch(path);
    limits.operations = operations;
    const got = await fetch(path).catch((error: unknown) => error);
    if (got instanceof Error) return;
    const { response, bytes } = got as Awaited<ReturnType<typeof fetch>>;
    if (response.status === 200) expect(bytes).toEqual(contentOf(SLICED_BYTES));
    else expect(response.status).toBeGreaterThanOrEqual(500);
  });

  test("before anything was read are a file from the upstream", async () => {
    const path = newFile(5_000);
    limits.operations = 0;
    const { response, bytes } = await fetch(path);
    expect(response.status).toBe(200);
    expect(bytes).toEqual(contentOf(5_000));
  });
});

describe("a store that fails", () => {
  test.each(["get|head", "put", "get|head|put"])("in its %s calls keeps no client from a file", async (calls) => {
    limits.failing = new RegExp(`^(${calls}) `);
    for (const size of [5_000, SLICED_BYTES]) {
      const { response, bytes } = await fetch(newFile(size));
      expect(response.status).toBe(200);
      expect(bytes).toEqual(contentOf(size));
    }
  });

  test("while slices are written, as an isolate that ends does, leaves a file that the next client completes", async () => {
    const path = newFile(SLICED_BYTES);
    limits.failing = /^put -\/v\/[0-9a-f]+\/[23]/;
    await fetch(path);
    limits.failing = null;
    const { bytes } = await fetch(path);
    expect(bytes).toEqual(contentOf(SLICED_BYTES));
    expect((await fetch(path)).bill.external).toBe(0);
  });
});

describe("an operation of R2 that never answers", () => {
  const silent = new Proxy(bucket, { get: () => () => new Promise(() => {}) });
  const store = createR2Store(silent, 10);

  test("is a failure that may be tried again, and holds nobody up", async () => {
    const version = newVersion();
    const calls = [
      store.head("x/y"),
      store.get("x/y"),
      store.putSlice(version, 0, new Uint8Array(1)),
      store.getSlice(version, 0, 0, 1),
      store.list({}),
    ];
    for (const call of calls)
      await expect(call).rejects.toMatchObject({ kind: "unavailable", message: expect.stringContaining("no answer") });
  });

  test("whose answer comes too late has its body let go", async () => {
    const cancelled = Promise.withResolvers<void>();
    const body = new ReadableStream({ cancel: () => cancelled.resolve() });
    const answer = Promise.withResolvers<object>();
    const late = createR2Store(new Proxy(bucket, { get: () => () => answer.promise }), 10);
    await expect(late.get("x/y")).rejects.toMatchObject({ kind: "unavailable" });
    answer.resolve({ body });
    await cancelled.promise;
  });
});

test("a request has at most six connections that wait for an answer", async () => {
  const path = newFile(SLICED_BYTES);
  for (const _ of ["cold", "warm"]) await fetch(path);
  await fetch(path, { headers: { range: "bytes=0-9,2000000-2000009,3000000-3000009" } });
  expect(mostAtOnce).toBeGreaterThan(0);
  expect(mostAtOnce).toBeLessThanOrEqual(6);
});
