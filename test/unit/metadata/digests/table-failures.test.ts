import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { createIndexTables } from "../../../../src/metadata/digests/index-tables.ts";
import { createPublishedDigests } from "../../../../src/metadata/digests/published-digests.ts";
import { createTableReader } from "../../../../src/metadata/digests/read-table.ts";
import { createTableDirectory } from "../../../../src/metadata/digests/table-directory.ts";
import type { RootProtection } from "../../../../src/watch/history.ts";
import type { Target } from "../../../../src/route/target.ts";
import { DECODERS } from "../../../support/decompressing.ts";
import { clearsigned, primary, release, repomd, sha256 } from "../samples.ts";
import { createWorld, type Files, memoryState, ONE, portOf, repositoryPlaceOf, tableDependencies } from "../world.ts";

const T = Date.UTC(2025, 11, 31) / 1000;
const ROOT = "os/repodata/repomd.xml";
const MINUTE = 60_000;

function setUp() {
  const world = createWorld([ONE]);
  const directory = createTableDirectory({ kept: memoryState(), timer: world.timer, now: () => world.now });
  const protections: Record<string, RootProtection | null> = {};
  const tables = createIndexTables({
    ...DECODERS,
    ...tableDependencies(world),
    directory: portOf(() => directory),
    onProtection: (root, protection) => void (protections[root] = protection),
  });
  let last: Promise<unknown> = Promise.resolve();
  const prepare = (...args: Parameters<typeof tables.prepare>) => {
    const prepared = tables.prepare(...args);
    last = prepared;
    return prepared;
  };
  const repository = world.repository({ tables: { ...tables, prepare } });
  const digests = createPublishedDigests({
    tables: createTableReader({ store: world.store }),
    lookUp: (_mirror, path, { waitMs = 0 }) => directory.lookUp(path, waitMs),
    noteAsked: () => {},
    onLost: (_mirror, base) => void repository.rebuildTables(base),
  });
  const expected = (path: string) => {
    const target: Target = {
      mirror: world.mirror,
      path,
      query: "",
      key: `m/${path}`,
      class: "package",
      rule: "",
      repository: repositoryPlaceOf(path),
    };
    return digests.expected(target, {});
  };
  /** Ends when no table is being built any more. */
  const idle = async (): Promise<void> => void (await last);
  return { world, repository, directory, protections, expected, idle };
}

function known(content: string) {
  return { kind: "known", expectations: [{ algorithm: "sha256", digest: sha256(content), size: content.length, source: "index" }] };
}

function rpm(revision: number, files: Readonly<Record<string, string>>): Files {
  const content = gzipSync(primary(files));
  const href = `repodata/${sha256(content)}-primary.xml.gz`;
  return { [ROOT]: repomd({ revision, data: { primary: [href, content] } }), [`os/${href}`]: content };
}

test("a table whose bytes went bad at rest is stored anew when it is looked up", async () => {
  const { world, repository, expected, idle } = setUp();
  world.origins[ONE] = rpm(T, { "a.rpm": "aaa" });
  await world.read(repository, ROOT);
  await idle();
  for (const [key, { object, bytes }] of world.store.objects) {
    if (key.startsWith("-/table/")) world.store.objects.set(key, { object, bytes: bytes.map((byte) => byte ^ 1) });
  }
  expect(await expected("os/a.rpm")).toEqual({ kind: "building" });
  await idle();
  expect(await expected("os/a.rpm")).toEqual(known("aaa"));
});

test("while no index of a repository can be read no fill waits for a table, whatever clients begin to use", async () => {
  const { world, repository, directory, idle } = setUp();
  const at = "dists/sid/main";
  const files = { "main/binary-amd64/Packages.lzma": "odd", "main/i18n/Translation-de": "de", "main/i18n/Translation-fr": "fr" };
  world.origins[ONE] = {
    "dists/sid/InRelease": clearsigned(release({ date: T, files })),
    [`${at}/binary-amd64/Packages.lzma`]: "odd",
    [`${at}/i18n/Translation-de`]: "de",
    [`${at}/i18n/Translation-fr`]: "fr",
  };
  await world.read(repository, "dists/sid/InRelease");
  await world.read(repository, `${at}/binary-amd64/Packages.lzma`);
  await idle();
  expect((await directory.lookUp("pool/a.deb", 0)).building).toBe(false);
  expect(await world.read(repository, `${at}/i18n/Translation-de`)).toBe("de");
  await idle();
  expect((await directory.lookUp("pool/a.deb", 0)).building).toBe(false);
});

test("a table that the store did not take is tried again after a minute, and the status page says so meanwhile", async () => {
  const { world, repository, protections, expected, idle } = setUp();
  world.origins[ONE] = rpm(T, { "a.rpm": "aaa" });
  await world.read(repository, ROOT);
  await idle();
  const { put } = world.store;
  world.store.put = (key, ...rest) => (key.startsWith("-/table/") ? Promise.reject(new Error("the disk is full")) : put(key, ...rest));
  world.origins[ONE] = rpm(T + 1, { "a.rpm": "bbb" });
  await world.pass(61_000);
  await world.read(repository, ROOT);
  await idle();
  expect(protections["os/repodata"]).toMatchObject({ state: "not", detail: "its digest table cannot be built: Error: the disk is full" });
  world.store.put = put;
  await world.pass(MINUTE);
  await world.read(repository, ROOT);
  await idle();
  expect(await expected("os/a.rpm")).toEqual(known("bbb"));
  expect(protections["os/repodata"]).toMatchObject({ state: "bound" });
});

test("a loss that many find at once is mended once", async () => {
  const { world, repository, expected, idle } = setUp();
  world.origins[ONE] = rpm(T, { "a.rpm": "aaa" });
  await world.read(repository, ROOT);
  await idle();
  for (const key of world.store.objects.keys()) if (key.startsWith("-/table/")) world.store.objects.delete(key);
  const { get } = world.store;
  let indexesRead = 0;
  world.store.get = (key) => {
    indexesRead += Number(!key.startsWith("-/table/"));
    return get(key);
  };
  await Promise.all(Array.from({ length: 20 }, () => expected("os/a.rpm")));
  await idle();
  expect(await expected("os/a.rpm")).toEqual(known("aaa"));
  expect(indexesRead).toBe(1);
});

test("what is wrong with 150 forms of one index is said in a few of them", async () => {
  const { world, repository, protections, idle } = setUp();
  const forms = Array.from({ length: 150 }, (_, n) => {
    const content = `a primary.xml that no upstream has, number ${n}`;
    const href = `repodata/${sha256(content)}-primary.xml.gz`;
    return `<data type="primary"><checksum type="sha256">${sha256(content)}</checksum><location href="${href}"/></data>`;
  });
  world.origins[ONE] = { [ROOT]: `<repomd><revision>${T}</revision>${forms.join("")}</repomd>` };
  await world.read(repository, ROOT);
  await idle();
  const { detail = "" } = protections["os/repodata"] ?? {};
  expect(detail).toMatch(/-primary\.xml\.gz: .*; and 144 more$/);
  expect(detail?.length).toBeLessThan(4_000);
  expect(world.logs.filter((line) => line.length > 5_000)).toEqual([]);
});
