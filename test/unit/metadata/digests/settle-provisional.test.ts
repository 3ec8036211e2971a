import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { type Digest, PAGE_BYTES } from "../../../../src/metadata/digests/digest-table.ts";
import { createIndexTables, type DirectoryPort } from "../../../../src/metadata/digests/index-tables.ts";
import { settleProvisional } from "../../../../src/metadata/digests/settle-provisional.ts";
import { createTableDirectory, type TableDirectory } from "../../../../src/metadata/digests/table-directory.ts";
import type { StoredObject } from "../../../../src/store/stored-object.ts";
import { DECODERS } from "../../../support/decompressing.ts";
import { clearsigned, packages, primary, release, repomd, sha256 } from "../samples.ts";
import { createWorld, DAY, HOUR, memoryState, ONE, settle, portOf, type World } from "../world.ts";

const KEY = "m/pool/a.deb";
const SLICE_BYTES = 64;
const PROVISIONAL: StoredObject = {
  version: "0".repeat(32),
  size: 3,
  contentType: "x/y",
  upstream: ONE,
  storedAt: 1,
  verified: "structure",
  sha256: sha256("aaa"),
  provisional: true,
};
const named = (content: string): Digest => ({ sha256: sha256(content), size: content.length });

/** A store that holds `object` with its `content`, and an index that says `digests` of it. */
async function setUp(digests: readonly Digest[], object: StoredObject = PROVISIONAL, content = "aaa") {
  const world = createWorld([ONE]);
  const { store } = world;
  const isSliced = object.sliceBytes !== undefined;
  await store.put(KEY, object, new TextEncoder().encode(isSliced ? "" : content));
  if (isSliced) await store.putSlice(object.version, 0, new TextEncoder().encode(content));
  const calls: string[] = [];
  const watched = {
    ...store,
    head: (key: string) => store.head(key),
    get: (key: string) => (calls.push("get"), store.get(key)),
    put: (...args: Parameters<typeof store.put>) => (calls.push(`put ${args[2].length} bytes`), store.put(...args)),
    delete: (keys: readonly string[]) => (calls.push(`delete ${keys.join()}`), store.delete(keys)),
  };
  return {
    store,
    calls,
    logs: world.logs,
    /** The paths that were compared. */
    settle(paths: readonly string[] = ["pool/a.deb"]) {
      return settleProvisional(paths, "pool", (path) => (path === "unnamed.deb" ? [] : digests), {
        mirror: world.mirror,
        store: watched,
        taint: async (key, version) => void calls.push(`taint ${key} ${version}`),
        sliceBytes: SLICE_BYTES,
        log: (level, message) => world.logs.push(`${level}: ${message}`),
      });
    },
    head: () => store.objects.get(KEY)?.object,
    async content() {
      const found = await store.get(KEY);
      const body = found?.object.sliceBytes === undefined ? found?.body : await store.getSlice(object.version, 0);
      return body === null || body === undefined ? null : new Response(body).text();
    },
  };
}

const { provisional: _provisional, ...JUDGED } = PROVISIONAL;

test("an object that is what its index names stays, is known as verified by digest, loses the mark, and is compared once", async () => {
  const { settle: run, head, content, calls, logs } = await setUp([named("aaa")]);
  for (let n = 0; n < 4; n++) await run();
  expect(head()).toEqual({ ...JUDGED, verified: "digest" });
  expect(await content()).toBe("aaa");
  expect(calls).toEqual(["get", "put 3 bytes"]);
  expect(logs).toEqual([]);
});

test.each([
  ["digest", named("bbb")],
  ["size", { ...named("aaa"), size: 4 }],
])("an object with another %s is served no more: its version is tainted, and then its head goes", async (_what, digest) => {
  const { settle: run, head, calls, logs } = await setUp([digest]);
  await run();
  await run();
  expect(head()).toBeUndefined();
  expect(calls).toEqual([`taint ${KEY} ${PROVISIONAL.version}`, `delete ${KEY}`]);
  expect(logs).toEqual(["warn: m: pool/a.deb was stored before its digest was known and is not the published file: deleted"]);
});

test("an object that this table does not name stays as it is, and waits for the tables of other suites", async () => {
  const { settle: run, head, content } = await setUp([]);
  expect(await run()).toEqual({ compared: [], failures: 0 });
  expect(head()).toEqual(PROVISIONAL);
  expect(await content()).toBe("aaa");
});

test("where the store fails for one path, it waits, and the others are compared", async () => {
  const { settle: run, head, store, logs } = await setUp([named("aaa")]);
  const { head: look } = store;
  store.head = async (key) => (key === "m/pool/busy.deb" ? Promise.reject(new Error("busy")) : look(key));
  expect(await run(["pool/busy.deb", "pool/a.deb"])).toEqual({ compared: ["pool/a.deb"], failures: 1 });
  expect(head()).toEqual({ ...JUDGED, verified: "digest" });
  expect(logs).toEqual(["warn: m: cannot compare pool/busy.deb with its index yet: Error: busy"]);
});

test("an object that is one of the files that two suites name so is right", async () => {
  const { settle: run, head } = await setUp([named("bbb"), named("aaa")]);
  await run();
  expect(head()).toEqual({ ...JUDGED, verified: "digest" });
});

test("an object that was judged when it came is left alone, whatever the index says", async () => {
  const { settle: run, head, calls } = await setUp([named("bbb")], JUDGED);
  await run();
  expect(head()).toEqual(JUDGED);
  expect(calls).toEqual([]);
});

test("a path that nothing is stored under is passed over, and the next one is compared", async () => {
  const { settle: run, head, calls } = await setUp([named("aaa")]);
  const { compared } = await run(["pool/unnamed.deb", "pool/gone.deb", "pool/a.deb"]);
  expect(compared).toEqual(["pool/gone.deb", "pool/a.deb"]);
  expect(head()?.provisional).toBeUndefined();
  expect(calls).toEqual(["get", "put 3 bytes"]);
});

test("of a sliced object only the head is written, and its bytes are not read", async () => {
  const { settle: run, head, content, calls } = await setUp([named("aaa")], { ...PROVISIONAL, sliceBytes: SLICE_BYTES });
  await run();
  expect(head()).toEqual({ ...JUDGED, sliceBytes: SLICE_BYTES, verified: "digest" });
  expect(calls).toEqual(["put 0 bytes"]);
  expect(await content()).toBe("aaa");
});

test("of a sliced object that is another file only the head goes: a reader under way ends on the slices that it began with", async () => {
  const { settle: run, head, store, calls } = await setUp([named("bbb")], { ...PROVISIONAL, sliceBytes: SLICE_BYTES });
  await run();
  expect(head()).toBeUndefined();
  expect(calls).toEqual([`taint ${KEY} ${PROVISIONAL.version}`, `delete ${KEY}`]);
  expect(await store.getSlice(PROVISIONAL.version, 0)).not.toBeNull();
});

test("an object whose own digest was never computed is compared by its size, and is not called verified by digest", async () => {
  const { sha256: _sha256, ...unread } = PROVISIONAL;
  const same = await setUp([named("xyz")], unread);
  await same.settle();
  expect(same.head()).toEqual({ ...unread, provisional: undefined });
  const other = await setUp([named("longer")], unread);
  await other.settle();
  expect(other.head()).toBeUndefined();
});

test("a newer version that comes between the comparison and the write is not overwritten", async () => {
  const { settle: run, store, head, content } = await setUp([named("aaa")]);
  const newer = { ...JUDGED, version: "1".repeat(32), sha256: sha256("new") };
  const { get } = store;
  store.get = async (key) => {
    await store.put(KEY, newer, new TextEncoder().encode("new"));
    return get(key);
  };
  await run();
  store.get = get;
  expect(head()).toEqual(newer);
  expect(await content()).toBe("new");
});

const ROOT = "os/repodata/repomd.xml";

/** Tables of a world's repository, as it makes them after each start. */
function tablesOf(world: World, directory: DirectoryPort, taint: (key: string) => Promise<void> = async () => {}) {
  return createIndexTables({
    ...DECODERS,
    mirror: world.mirror,
    store: world.store,
    kept: world.kept,
    sliceBytes: PAGE_BYTES,
    now: () => world.now,
    taint,
    log: (level, message) => world.logs.push(`${level}: ${message}`),
    directory,
  });
}

/** A repository whose primary names `files`; its directory can be restarted: what it kept stays, what it had in memory is gone. */
function repositoryOf(files: Readonly<Record<string, string>>) {
  const world = createWorld([ONE]);
  const content = gzipSync(primary(files));
  const href = `repodata/${sha256(content)}-primary.xml.gz`;
  world.origins[ONE] = { [ROOT]: repomd({ revision: 1, data: { primary: [href, content] } }), [`os/${href}`]: content };
  const kept = memoryState();
  const open = (): TableDirectory => createTableDirectory({ kept, timer: world.timer, now: () => world.now });
  let directory = open();
  const tainted: string[] = [];
  const tables = tablesOf(
    world,
    portOf(() => directory),
    async (key) => void tainted.push(key),
  );
  const repository = world.repository({ tables });
  return {
    world,
    tainted,
    directory: () => directory,
    restart: () => void (directory = open()),
    async publish() {
      await repository.resolve(ROOT);
      await expect.poll(() => directory.listings()).toMatchObject([{ base: "os", building: false }]);
      await settle();
    },
  };
}

async function storeProvisional({ store }: World, path: string, content: string): Promise<void> {
  const bytes = new TextEncoder().encode(content);
  await store.put(`m/${path}`, { ...PROVISIONAL, size: bytes.length, sha256: sha256(content) }, bytes);
}

test.each([
  ["", false],
  [", and the directory was restarted meanwhile,", true],
])("what clients asked for while the table was built%s is settled when the table lands", async (_when, isRestarted) => {
  const { world, tainted, directory, restart, publish } = repositoryOf({ "good.rpm": "good", "bad.rpm": "fine" });
  directory().building("os");
  for (const path of ["os/good.rpm", "os/bad.rpm", "os/other.rpm", "os/never-stored.rpm"]) {
    expect(await directory().lookUp(path, 0)).toMatchObject({ building: true });
  }
  await storeProvisional(world, "os/good.rpm", "good");
  await storeProvisional(world, "os/bad.rpm", "evil");
  await storeProvisional(world, "os/other.rpm", "named by no index");
  if (isRestarted) restart();
  await publish();
  const objectAt = (path: string): StoredObject | undefined => world.store.objects.get(`m/${path}`)?.object;
  expect(objectAt("os/good.rpm")).toMatchObject({ verified: "digest" });
  expect(objectAt("os/good.rpm")?.provisional).toBeUndefined();
  expect(objectAt("os/bad.rpm")).toBeUndefined();
  expect(objectAt("os/other.rpm")).toMatchObject({ verified: "structure", provisional: true });
  expect(tainted).toEqual(["m/os/bad.rpm"]);
  // Settled once: neither this directory nor the next one gives them out again.
  expect(directory().unsettled("os").paths).toEqual(["os/other.rpm", "os/never-stored.rpm"]);
  restart();
  expect(directory().unsettled("os").paths).toEqual(["os/other.rpm", "os/never-stored.rpm"]);
  // What no table names within a day is left to the day's revalidation.
  world.now += DAY;
  expect(directory().unsettled("os").paths).toEqual([]);
});

test("what clients asked for while a build failed is settled by the next table that lands", async () => {
  const { world, tainted, directory, publish } = repositoryOf({ "bad.rpm": "fine" });
  const good = world.origins[ONE] ?? {};
  const unreadable = gzipSync("<metadata><package>");
  const href = `repodata/${sha256(unreadable)}-primary.xml.gz`;
  world.origins[ONE] = { [ROOT]: repomd({ revision: 1, data: { primary: [href, unreadable] } }), [`os/${href}`]: unreadable };
  directory().building("os");
  await directory().lookUp("os/bad.rpm", 0);
  await storeProvisional(world, "os/bad.rpm", "evil");
  await publish();
  expect(world.store.objects.get("m/os/bad.rpm")?.object).toMatchObject({ provisional: true });
  world.origins[ONE] = good;
  world.now += HOUR;
  await publish();
  expect(world.store.objects.get("m/os/bad.rpm")?.object).toBeUndefined();
  expect(tainted).toEqual(["m/os/bad.rpm"]);
});

test("a package of a suite whose table comes second is compared with that, though the first one does not name it", async () => {
  const world = createWorld([ONE]);
  const suite = (name: string, files: Readonly<Record<string, string>>) => {
    const index = gzipSync(packages(files));
    const listed = release({ date: 1_700_000_000, files: { "main/binary-amd64/Packages.gz": index } });
    return { [`dists/${name}/InRelease`]: clearsigned(listed), [`dists/${name}/main/binary-amd64/Packages.gz`]: index };
  };
  world.origins[ONE] = { ...suite("stable", { "pool/a.deb": "aaa" }), ...suite("updates", { "pool/b.deb": "bbb" }) };
  const directory = createTableDirectory({ kept: memoryState(), timer: world.timer, now: () => world.now });
  const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const gates = [first.promise, second.promise];
  const port = portOf(() => directory);
  const tables = tablesOf(world, { ...port, publish: async (...given) => (await gates.shift(), port.publish(...given)) });
  const repository = world.repository({ tables });
  for (const name of ["stable", "updates"]) {
    await repository.resolve(`dists/${name}/InRelease`);
    await repository.resolve(`dists/${name}/main/binary-amd64/Packages.gz`);
  }
  expect(await directory.lookUp("pool/b.deb", 0)).toMatchObject({ building: true });
  await storeProvisional(world, "pool/b.deb", "evil");
  first.resolve();
  // A package whose bytes arrive now must still wait for the other suite's table.
  await expect.poll(() => directory.listings()).toMatchObject([{ base: "", table: { pages: 1 }, building: true }]);
  second.resolve();
  await expect.poll(() => directory.listings()).toMatchObject([{ base: "", building: false }]);
  await expect.poll(() => world.store.objects.get("m/pool/b.deb")).toBeUndefined();
});

test("what a comparison that was broken off left is compared when the repository starts again, though no index changed", async () => {
  const { world, directory, publish } = repositoryOf({ "bad.rpm": "fine" });
  directory().building("os");
  await directory().lookUp("os/bad.rpm", 0);
  await storeProvisional(world, "os/bad.rpm", "evil");
  const { head } = world.store;
  world.store.head = async (key) => (key === "m/os/bad.rpm" ? Promise.reject(new Error("busy")) : head(key));
  await publish();
  expect(world.store.objects.get("m/os/bad.rpm")?.object).toMatchObject({ provisional: true });
  world.store.head = head;
  const tables = tablesOf(world, portOf(directory));
  world.repository({ tables });
  await expect.poll(() => world.store.objects.get("m/os/bad.rpm")).toBeUndefined();
});
