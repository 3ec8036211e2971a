import { env, listDurableObjectIds, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { LedgerObject, RepositoryObject } from "../../src/worker.ts";
import { createMeteredWorker } from "../support/metered-worker.ts";

const DAY = 86_400_000;
const HEX = "ab".repeat(32);

const { fetch, fetchAtOnce } = createMeteredWorker({
  vars: {
    ADMIN_TOKEN: "nothing",
    MIRRORS: { void: { upstreams: ["http://origin.test"] }, fedora: { distro: "fedora", upstreams: ["http://origin.test/fedora"] } },
  },
});
const { REPOSITORIES, LEDGER } = env as unknown as {
  readonly REPOSITORIES: DurableObjectNamespace<RepositoryObject>;
  readonly LEDGER: DurableObjectNamespace<LedgerObject>;
};
const book = () => LEDGER.get(LEDGER.idFromName("-"));
const AS_OPERATOR = { headers: { authorization: "Bearer nothing" } };
/** Without the mirrors' directories of tables, of which there is one each. */
const repositoryIds = async (): Promise<readonly string[]> => {
  const directories = ["void", "fedora"].map((name) => REPOSITORIES.idFromName(name).toString());
  return (await listDurableObjectIds(REPOSITORIES)).map(String).filter((id) => !directories.includes(id));
};

afterEach(() => void vi.useRealTimers());

test.each([
  ["void/a/repodata/repomd.xml", 1],
  ["void/b/dists/trixie/InRelease", 2],
  ["void/c/dists/trixie/main/binary-amd64/Packages.gz", 3],
  ["void/d/core.db", 1],
  ["void/e/APKINDEX.tar.gz", 1],
  ["void/f/SHA256SUMS.sign", 2],
  [`void/g/repodata/${HEX}-primary.xml`, 1],
  [`void/h/dists/sid/by-hash/SHA256/${HEX}`, 1],
  ["void/%C3%BC%20/%E2%98%83/repodata/repomd.xml", 1],
  [`void/${"deep/".repeat(100)}repodata/repomd.xml.asc`, 2],
])("%s, which exists nowhere, is a 404 that makes no repository's object", async (path, most) => {
  const cold = await fetch(`/${path}`);
  expect(cold.response.status).toBe(404);
  expect(cold.bill.external).toBeLessThanOrEqual(most);
  expect((await fetch(`/${path}`, { method: "HEAD" })).response.status).toBe(404);
  await fetch(`/-/why.json/${path}`, AS_OPERATOR);
  await fetch(`/-/metalink/${path.replace("/repodata/repomd.xml", "")}`);
  expect(cold.bill.objects.filter((call) => /resolve|expectation/.test(call))).toEqual([]);
  expect(await repositoryIds()).toEqual([]);
});

test("the answer that there is none is good for all who ask at the same time, and a moment later", async () => {
  expect((await fetchAtOnce("/void/many/repodata/repomd.xml", 100)).bill.external).toBe(1);
  expect((await fetch("/void/many/repodata/repomd.xml")).bill).toMatchObject({ external: 0, objects: [], ledger: [] });
});

describe("a repository that exists", () => {
  test("is published with one request for its root, and counted and listed from then on", async () => {
    const { response, bill } = await fetch("/fedora/os/repodata/repomd.xml");
    expect(response.status).toBe(200);
    // The root, its two companions, and what it names.
    expect(bill.external).toBeLessThanOrEqual(4);
    expect(await repositoryIds()).toEqual([REPOSITORIES.idFromName("fedora/os").toString()]);
    await expect.poll(() => book().repositories()).toMatchObject({ counts: [{ mirror: "fedora", repositories: 1 }] });
    const status = await fetch("/-/status.json", AS_OPERATOR);
    expect(JSON.parse(new TextDecoder().decode(status.bytes))).toMatchObject({
      repositories: [{ name: "fedora/os" }],
      mirrors: expect.arrayContaining([expect.objectContaining({ name: "fedora", repositories: 1 })]),
    });
    const metrics = new TextDecoder().decode((await fetch("/-/metrics", AS_OPERATOR)).bytes);
    expect(metrics).toContain('lazy_mirror_repositories{mirror="fedora"} 1\n');
  });

  test("forgets all, its storage included, where no client used it within the retention; a client finds it again", async () => {
    const stub = REPOSITORIES.get(REPOSITORIES.idFromName("fedora/os"));
    const rows = () =>
      runInDurableObject(stub, (_object, { storage }) => storage.sql.exec("SELECT name FROM sqlite_master WHERE name = 'kept'").toArray());
    expect(await rows()).toHaveLength(1);
    const directory = REPOSITORIES.get(REPOSITORIES.idFromName("fedora"));
    await expect.poll(() => directory.bases()).toEqual(["os"]);
    await runInDurableObject(book(), (_object, { storage }) => {
      storage.sql.exec("UPDATE repositories SET usedAt = ?", Date.now() - 89 * DAY);
    });
    await book().sweepAll();
    expect(await rows()).toHaveLength(1);
    await runInDurableObject(book(), (_object, { storage }) => {
      storage.sql.exec("UPDATE repositories SET usedAt = ?", Date.now() - 91 * DAY);
    });
    await book().sweepAll();
    expect(await rows()).toEqual([]);
    expect(await directory.bases()).toEqual([]);
    expect(await book().repositories()).toEqual({ counts: [], latest: [] });
    expect((await book().history()).roots).toEqual([]);
    // The isolate answers for a root from memory for METADATA_TTL_SECONDS, without a call of its repository.
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 61_000 });
    expect((await fetch("/fedora/os/repodata/repomd.xml")).response.status).toBe(200);
    expect(await rows()).toHaveLength(1);
    await expect.poll(() => book().repositories()).toMatchObject({ counts: [{ mirror: "fedora", repositories: 1 }] });
  });
});
