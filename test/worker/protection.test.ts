import { env } from "cloudflare:test";
import { expect, test, vi } from "vitest";
import { createR2Store } from "../../src/store/r2-store.ts";
import type { StoredObject } from "../../src/store/stored-object.ts";
import type { LedgerObject, RepositoryObject } from "../../src/worker.ts";
import { sha256 } from "../unit/metadata/samples.ts";
import { createMeteredWorker } from "../support/metered-worker.ts";

/** The whole Worker with R2 and its Durable Objects, from what lay there before any index to what the pages say. */
const TOKEN = "t".repeat(32);
const { fetch, bucket } = createMeteredWorker({
  vars: { MIRRORS: { late: { distro: "fedora", upstreams: ["http://origin.test/fedora"] } }, ADMIN_TOKEN: TOKEN },
});
const { LEDGER, REPOSITORIES } = env as unknown as {
  readonly LEDGER: DurableObjectNamespace<LedgerObject>;
  readonly REPOSITORIES: DurableObjectNamespace<RepositoryObject>;
};
const store = createR2Store(bucket);
const STALE = "late/os/Packages/known-0.rpm";

async function read(path: string): Promise<{ readonly roots?: readonly object[] } & Readonly<Record<string, unknown>>> {
  const { response, bytes } = await fetch(path, { headers: { authorization: `Bearer ${TOKEN}` } });
  expect(response.status).toBe(200);
  return JSON.parse(new TextDecoder().decode(bytes));
}

test("a package that was stored before any index is compared when the first table lands, and the pages say what binds it", async () => {
  expect(await read(`/-/why.json/${STALE}`)).toMatchObject({ expected: { kind: "none" }, naming: { repository: null, roots: [] } });
  const bytes = new TextEncoder().encode("old ".repeat(1_125));
  const object: StoredObject = {
    version: "5".repeat(32),
    size: bytes.length,
    contentType: "application/x-rpm",
    upstream: "http://origin.test/fedora",
    storedAt: Date.now(),
    verified: "structure",
    sha256: sha256(bytes),
  };
  await store.put(STALE, object, bytes);
  const { version, size, storedAt } = object;
  const record = { key: STALE, version, size, sliceBytes: null, class: "package", storedAt };
  await LEDGER.get(LEDGER.idFromName("late")).record({ news: [{ kind: "stored", key: STALE, record }], uses: [] });

  await fetch("/late/os/repodata/repomd.xml");
  await vi.waitUntil(async () => (await store.head(STALE)) === null, { timeout: 20_000 });
  const { response, bytes: right } = await fetch(`/${STALE}`);
  expect(response.status).toBe(200);
  expect(new TextDecoder().decode(right)).toBe("package 0 ".repeat(500));
  expect(await store.head(STALE)).toMatchObject({ verified: "digest", sha256: sha256(right) });

  expect(await read(`/-/why.json/${STALE}`)).toMatchObject({
    expected: { kind: "known", expectations: [{ algorithm: "sha256", digest: sha256(right), source: "index" }] },
    naming: { repository: "os", roots: ["os/repodata"], whys: [] },
    protection: "It is bound to what the indexes of os/repodata say of it.",
  });
  const { roots } = await read("/-/status.json");
  expect(roots).toEqual([
    expect.objectContaining({
      mirror: "late",
      root: "os/repodata",
      protection: { state: "bound", packages: 10, skipped: 0, detail: null },
    }),
  ]);
});

test("pages of a table that were deleted are made again as soon as a package is looked up", async () => {
  const directory = REPOSITORIES.get(REPOSITORIES.idFromName("late"));
  const [table] = (await directory.lookUp("os/x.rpm", 0)).tables;
  const key = `-/table/${table?.version ?? ""}`;
  expect(await store.head(key)).not.toBeNull();
  await store.delete([key]);
  // What remembers the table's bytes is asked for them no more.
  await REPOSITORIES.get(REPOSITORIES.idFromName("late/os")).rebuildTables("late", "os");
  await vi.waitUntil(async () => (await store.head(key)) !== null, { timeout: 20_000 });
});
