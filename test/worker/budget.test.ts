import { env } from "cloudflare:test";
import { beforeAll, describe, expect, test, vi } from "vitest";
import type { RepositoryObject } from "../../src/worker.ts";
import { type Bill, createMeteredWorker } from "../support/metered-worker.ts";

/** The most that a request of a class may cost; docs/costs.md has the same table, and what it comes to. */
interface Budget {
  readonly classB: number;
  readonly classA: number;
  readonly objects: number;
  readonly upstream: number;
  readonly writtenBytes?: number;
}

const WARM: Budget = { classB: 1, classA: 0, objects: 0, upstream: 0 };
const CACHED: Budget = { classB: 0, classA: 0, objects: 0, upstream: 0 };

const FEDORA = { distro: "fedora", upstreams: ["http://origin.test/fedora"] };

const { fetch, fetchAtOnce } = createMeteredWorker({
  vars: { MIRRORS: { fedora: FEDORA, again: FEDORA } },
});

const { REPOSITORIES } = env as unknown as { readonly REPOSITORIES: DurableObjectNamespace<RepositoryObject> };

const REPOMD = "/fedora/os/repodata/repomd.xml";
const known = (n: number): string => `/fedora/os/Packages/known-${n}.rpm`;
const LARGE = "/fedora/os/Packages/large.rpm";
const SLICE_BYTES = 8 * 1024 * 1024;

function expectWithin(bill: Bill, budget: Budget): void {
  const cost = {
    classB: bill.classB.length,
    classA: bill.classA.length,
    objects: bill.objects.length,
    upstream: bill.external,
    writtenBytes: bill.writtenBytes,
  };
  for (const [name, most] of Object.entries({ writtenBytes: 0, ...budget })) {
    expect(cost[name as keyof typeof cost], `${name} of ${JSON.stringify(bill, null, 1)}`).toBeLessThanOrEqual(most);
  }
}

/** A request with its status, within its budget. */
async function within(budget: Budget, path: string, init?: RequestInit, status = 200): Promise<Uint8Array> {
  const { response, bytes, bill } = await fetch(path, init);
  expect(response.status).toBe(status);
  expectWithin(bill, budget);
  return bytes;
}

beforeAll(async () => {
  // A client's first look at the repository; then its table is made.
  await fetch(REPOMD);
  const directory = REPOSITORIES.get(REPOSITORIES.idFromName("fedora"));
  await vi.waitUntil(async () => (await directory.lookUp("os/x.rpm", 0)).tables.length > 0, { timeout: 20_000 });
});

describe("a small package", () => {
  test("costs one call, two reads and one write when it is cold, however many are fetched", async () => {
    const budget = { classB: 2, classA: 1, objects: 1, upstream: 1, writtenBytes: 5_000 };
    // The first in a minute asks where the tables are.
    await within({ ...budget, objects: 2 }, known(0));
    for (const n of [1, 2, 3]) await within(budget, known(n));
  });

  test("costs one read when it is warm, and nothing where the data centre has it", async () => {
    await within(WARM, known(1));
    await within(CACHED, known(1));
    expect(await within(CACHED, known(1), { headers: { range: "bytes=10-19" } }, 206)).toHaveLength(10);
  });

  test("costs one read for a HEAD, and for a part", async () => {
    await within(WARM, known(2), { method: "HEAD" });
    await within(WARM, known(3), { headers: { range: "bytes=10-19" } }, 206);
  });

  test("costs one look at the upstream a minute where clients doubt it", async () => {
    const doubtful = { headers: { "if-modified-since": "Sun, 06 Nov 2022 08:49:37 GMT" } };
    await within({ ...WARM, upstream: 1 }, known(3), doubtful, 304);
    await within(WARM, known(3), doubtful, 304);
  });

  test("is fetched and stored once for ten clients at the same time", async () => {
    const { bill } = await fetchAtOnce(known(4), 10);
    expectWithin(bill, { classB: 11, classA: 1, objects: 1, upstream: 1, writtenBytes: 5_000 });
  });

  test("that nobody has costs a read, a call, and a question to each upstream", async () => {
    await within({ classB: 2, classA: 0, objects: 2, upstream: 1 }, "/fedora/os/Packages/none.rpm", {}, 404);
  });
});

describe("a package of three slices", () => {
  test("costs one request upstream, a write for each slice, and two for the head, when it is cold", async () => {
    expect(await within({ classB: 3, classA: 5, objects: 1, upstream: 1, writtenBytes: 21_000_000 }, LARGE)).toHaveLength(21_000_000);
  });

  test("costs the head and one read for each slice when it is warm, and nothing where the data centre has it", async () => {
    await within({ ...WARM, classB: 4 }, LARGE);
    await within(CACHED, LARGE);
    await within(CACHED, LARGE, { headers: { range: "bytes=9000000-9000009" } }, 206);
  });

  test("costs the slice that a part needs, and the head, when it is cold", async () => {
    const budget = { classB: 2, classA: 2, objects: 1, upstream: 1, writtenBytes: SLICE_BYTES };
    await within(budget, "/fedora/os/Packages/30000000-part.rpm", { headers: { range: "bytes=9000000-9000009" } }, 206);
  });
});

describe("metadata", () => {
  test("that is fresh costs one call and no request upstream", async () => {
    await within({ ...WARM, objects: 1 }, REPOMD);
  });

  test("costs nothing while the answer for it holds: no call, no read and no request upstream", async () => {
    const root = "/again/os/repodata/repomd.xml";
    await fetch(root);
    // The data centre's cache takes the body at the first read of the store.
    await within(WARM, root);
    await within(CACHED, root);
    await within(CACHED, root, { headers: { "cache-control": "max-age=0" } });
    await within(CACHED, root, { method: "HEAD" });
    expect((await fetch(root)).bill.ledger.filter((call) => call !== "LEDGER.record")).toEqual([]);
  });

  test("named by its digest costs no call, but that its use is reported once a day", async () => {
    const { bytes } = await fetch(REPOMD);
    const [, href] = /href="([^"]*primary[^"]*)"/.exec(new TextDecoder().decode(bytes)) ?? [];
    await within({ ...WARM, classB: 2, objects: 1 }, `/fedora/os/${href}`);
    await within(CACHED, `/fedora/os/${href}`);
  });
});

test("refusals cost nothing", async () => {
  await within(CACHED, "/nobody/os/x.rpm", {}, 404);
  await within(CACHED, "/fedora/a%2F..%2Fx.rpm", {}, 400);
  await within(CACHED, known(1), { method: "DELETE" }, 405);
});
