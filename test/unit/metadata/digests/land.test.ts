import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { createIndexTables } from "../../../../src/metadata/digests/index-tables.ts";
import { createTableDirectory } from "../../../../src/metadata/digests/table-directory.ts";
import type { StoredRows } from "../../../../src/metadata/ports/stored-rows.ts";
import type { StoredObject } from "../../../../src/store/stored-object.ts";
import { DECODERS } from "../../../support/decompressing.ts";
import { clearsigned, packages, primary, release, repomd, sha256 } from "../samples.ts";
import { createWorld, DAY, type Files, HOUR, memoryState, ONE, portOf, settle, tableDependencies, type World } from "../world.ts";

const ROOT = "os/repodata/repomd.xml";
const STORED: StoredObject = {
  version: "0".repeat(32),
  size: 3,
  contentType: "x/y",
  upstream: ONE,
  storedAt: 1,
  verified: "structure",
  sha256: sha256("aaa"),
};

function rpm(files: Readonly<Record<string, string>>, revision = 1): Files {
  const content = gzipSync(primary(files));
  const href = `repodata/${sha256(content)}-primary.xml.gz`;
  return { [ROOT]: repomd({ revision, data: { primary: [href, content] } }), [`os/${href}`]: content };
}

function setUp(files: Files) {
  const world = createWorld([ONE]);
  world.origins[ONE] = files;
  const directory = createTableDirectory({ kept: memoryState(), timer: world.timer, now: () => world.now });
  const tainted: string[] = [];
  const shared = { ...DECODERS, ...tableDependencies(world) };
  let ledger: StoredRows = shared.rows;
  const rows: StoredRows = { page: (...given) => ledger.page(...given), pick: (...given) => ledger.pick(...given) };
  const start = () => {
    const taint = async (key: string): Promise<void> => void tainted.push(key);
    const tables = createIndexTables({ ...shared, rows, taint, directory: portOf(() => directory) });
    return world.repository({ tables });
  };
  return {
    world,
    directory,
    tainted,
    repository: start(),
    /** The repository's object starts again, with what it kept. */
    restart: start,
    /** What the ledger answers; another one stands in for it from `use` on. */
    rows: shared.rows,
    use: (other: StoredRows): void => void (ledger = other),
    headOf: (path: string) => world.store.objects.get(`m/${path}`)?.object,
  };
}

async function store({ store: into }: World, path: string, content: string, more: Partial<StoredObject> = {}): Promise<void> {
  const bytes = new TextEncoder().encode(content);
  const object = { ...STORED, size: bytes.length, sha256: sha256(content), ...more };
  await into.put(`m/${path}`, object, object.sliceBytes === undefined ? bytes : new Uint8Array());
  if (object.sliceBytes !== undefined) await into.putSlice(object.version, 0, bytes);
}

test("what was stored before any index was known is compared when the first table lands, and goes if it is not the published file", async () => {
  const { world, repository, tainted, headOf } = setUp(rpm({ "good.rpm": "good", "old.rpm": "new", "nightly/x.rpm": "new" }));
  await store(world, "os/good.rpm", "good");
  await store(world, "os/old.rpm", "old");
  await store(world, "os/nightly/x.rpm", "old");
  await store(world, "os/other.rpm", "named by no index");
  await repository.resolve(ROOT);
  await expect.poll(() => headOf("os/old.rpm")).toBeUndefined();
  await expect.poll(() => headOf("os/nightly/x.rpm")).toBeUndefined();
  expect(headOf("os/good.rpm")).toMatchObject({ sha256: sha256("good") });
  expect(headOf("os/other.rpm")).toMatchObject({ verified: "structure" });
  expect(tainted.toSorted()).toEqual(["m/os/nightly/x.rpm", "m/os/old.rpm"]);
  expect(world.logs.join("\n")).toContain("os/old.rpm was stored before its digest was known and is not the published file: deleted");
});

test("a package that an index names anew is compared with what was stored under its path while no index named it", async () => {
  const { world, repository, headOf } = setUp(rpm({ "a.rpm": "aaa" }));
  await repository.resolve(ROOT);
  await settle();
  await world.pass(100_000);
  await store(world, "os/b.rpm", "old", { storedAt: world.now });
  world.origins[ONE] = rpm({ "a.rpm": "aaa", "b.rpm": "new" }, 2);
  world.now += HOUR;
  await repository.resolve(ROOT);
  await expect.poll(() => headOf("os/b.rpm")).toBeUndefined();
});

test("a comparison that began under a clock far ahead goes on at once when the clock is right", async () => {
  const { world, repository, restart, rows, use, headOf } = setUp(rpm({ "a.rpm": "aaa" }));
  world.now += 365 * DAY;
  await store(world, "os/a.rpm", "old", { storedAt: world.now });
  const down = async (): Promise<never> => Promise.reject(new Error("down"));
  use({ page: down, pick: down });
  await repository.resolve(ROOT);
  await expect.poll(() => world.logs.join("\n")).toContain("down");
  world.now -= 365 * DAY;
  await store(world, "os/a.rpm", "old", { storedAt: world.now });
  use(rows);
  await restart().resolve(ROOT);
  await expect.poll(() => headOf("os/a.rpm")).toBeUndefined();
  await settle();
  expect(world.kept.keys().filter((key) => key.startsWith("landing:"))).toEqual([]);
});

test("what the ledger learns of late is compared too: a fill that ended as the table landed", async () => {
  const { world, repository, headOf } = setUp(rpm({ "a.rpm": "aaa" }));
  await repository.resolve(ROOT);
  await settle();
  await store(world, "os/a.rpm", "old", { storedAt: world.now });
  await world.pass(15_000);
  await expect.poll(() => headOf("os/a.rpm")).toBeUndefined();
  await store(world, "os/a.rpm", "old", { storedAt: world.now });
  await world.pass(90_000);
  await expect.poll(() => headOf("os/a.rpm")).toBeUndefined();
  await settle();
  expect(world.kept.keys().filter((key) => key.startsWith("landing:"))).toEqual([]);
});

test("an object of another size goes though its digest was never computed; one of the same size is fetched anew at its next use", async () => {
  const { world, repository, headOf } = setUp(rpm({ "same.rpm": "aaa", "longer.rpm": "longer", "part.rpm": "aaa" }));
  const { sha256: _sha256, ...unread } = STORED;
  for (const path of ["same.rpm", "longer.rpm"]) await world.store.put(`m/os/${path}`, unread, new TextEncoder().encode("aaa"));
  const pieced = { ...unread, verified: "none", sliceBytes: 64 } as const;
  await world.store.put("m/os/part.rpm", pieced, new Uint8Array());
  await repository.resolve(ROOT);
  await expect.poll(() => headOf("os/longer.rpm")).toBeUndefined();
  await expect.poll(() => headOf("os/same.rpm")).toMatchObject({ provisional: true, verified: "structure" });
  // Its first complete read judges it.
  expect(headOf("os/part.rpm")).toEqual(pieced);
});

test("an object that is marked, and is what its index names, loses the mark; of a sliced one only the head is written", async () => {
  const { world, repository, headOf } = setUp(rpm({ "a.rpm": "aaa", "b.rpm": "aaa" }));
  await store(world, "os/a.rpm", "aaa", { provisional: true });
  await store(world, "os/b.rpm", "aaa", { provisional: true, sliceBytes: 64, version: "1".repeat(32) });
  await repository.resolve(ROOT);
  await expect.poll(() => headOf("os/a.rpm")).toEqual({ ...STORED, verified: "digest" });
  await expect.poll(() => headOf("os/b.rpm")).toEqual({ ...STORED, verified: "digest", sliceBytes: 64, version: "1".repeat(32) });
});

test("what lies in the folder of another repository, or is metadata, is not compared", async () => {
  const { world, repository, directory, headOf, rows, use } = setUp(rpm({ "nested/a.rpm": "new", "repodata/x.rpm": "new" }));
  directory.publish("os/nested", "os/nested/repodata", { version: null, why: "it cannot be read", isReaching: false });
  await store(world, "os/nested/a.rpm", "old");
  await store(world, "os/repodata/x.rpm", "old");
  const page: StoredRows["page"] = async (...given) =>
    (await rows.page(...given)).map((row) => (row.key.includes("repodata") ? { ...row, class: "member" } : row));
  use({ ...rows, page });
  await repository.resolve(ROOT);
  await settle();
  await world.pass(100_000);
  await settle();
  expect(headOf("os/nested/a.rpm")).toBeDefined();
  expect(headOf("os/repodata/x.rpm")).toBeDefined();
});

test("an index that names files outside its folder deletes none there: where no repository is nearer, they are fetched anew", async () => {
  const { world, repository, directory, headOf } = setUp(
    rpm({ "../blobs/a.rpm": "new", "../blobs/same.rpm": "same", "../owner/c.rpm": "new", "b.rpm": "new" }),
  );
  directory.publish("owner", "owner/repodata", { version: null, why: "it cannot be read", isReaching: false });
  for (const path of ["blobs/a.rpm", "owner/c.rpm", "os/b.rpm"]) await store(world, path, "old");
  await store(world, "blobs/same.rpm", "same");
  await repository.resolve(ROOT);
  await expect.poll(() => headOf("os/b.rpm")).toBeUndefined();
  await expect.poll(() => headOf("blobs/a.rpm")).toMatchObject({ provisional: true });
  expect(headOf("blobs/same.rpm")).not.toHaveProperty("provisional");
  expect(headOf("owner/c.rpm")).not.toHaveProperty("provisional");
  world.origins[ONE] = rpm({ "../blobs/same.rpm": "other", "b.rpm": "new" }, 2);
  world.now += HOUR;
  await repository.resolve(ROOT);
  expect(headOf("blobs/same.rpm")).toMatchObject({ provisional: true });
});

test("a package is right if it is the file that one of several suites names", async () => {
  const suite = (name: string, files: Readonly<Record<string, string>>) => {
    const index = gzipSync(packages(files));
    const listed = release({ date: 1_700_000_000, files: { "main/binary-amd64/Packages.gz": index } });
    return { [`dists/${name}/InRelease`]: clearsigned(listed), [`dists/${name}/main/binary-amd64/Packages.gz`]: index };
  };
  const { world, repository, headOf } = setUp({
    ...suite("a", { "pool/x.deb": "one" }),
    ...suite("b", { "pool/x.deb": "two", "pool/y.deb": "y" }),
  });
  await store(world, "pool/x.deb", "one");
  await store(world, "pool/y.deb", "old");
  for (const name of ["a", "b"]) {
    await repository.resolve(`dists/${name}/InRelease`);
    await repository.resolve(`dists/${name}/main/binary-amd64/Packages.gz`);
  }
  await expect.poll(() => headOf("pool/y.deb")).toBeUndefined();
  expect(headOf("pool/x.deb")).toBeDefined();
});

test("where the store fails for one path it is compared later, and the others now", async () => {
  const { world, repository, headOf } = setUp(rpm({ "a.rpm": "new", "b.rpm": "new" }));
  await store(world, "os/a.rpm", "old");
  await store(world, "os/b.rpm", "old");
  const { head } = world.store;
  world.store.head = async (key) => (key === "m/os/a.rpm" ? Promise.reject(new Error("busy")) : head(key));
  await repository.resolve(ROOT);
  await expect.poll(() => headOf("os/b.rpm")).toBeUndefined();
  expect(headOf("os/a.rpm")).toBeDefined();
  await settle();
  world.store.head = head;
  await world.pass(60_000);
  await expect.poll(() => headOf("os/a.rpm")).toBeUndefined();
  expect(world.logs.join("\n")).toContain("cannot compare os/a.rpm with its index yet: Error: busy");
});

test("a comparison that was broken off goes on when the repository starts again, though no index changed", async () => {
  const setup = setUp(rpm({ "a.rpm": "new" }));
  const { world, repository, headOf, rows } = setup;
  await store(world, "os/a.rpm", "old");
  setup.use({ ...rows, page: () => Promise.reject(new Error("the ledger restarts")) });
  await repository.resolve(ROOT);
  await settle();
  expect(headOf("os/a.rpm")).toBeDefined();
  setup.use(rows);
  setup.restart();
  await expect.poll(() => headOf("os/a.rpm")).toBeUndefined();
});

test("a comparison whose table of before the store lost compares everything", async () => {
  const { world, repository, restart, rows, use, headOf } = setUp(rpm({ "a.rpm": "aaa", "b.rpm": "bbb" }));
  await repository.resolve(ROOT);
  await settle();
  await world.pass(200_000);
  const before = [...world.store.objects.keys()].filter((key) => key.startsWith("-/table/"));
  await store(world, "os/b.rpm", "old", { storedAt: world.now });
  const down = async (): Promise<never> => Promise.reject(new Error("down"));
  use({ page: down, pick: down });
  world.origins[ONE] = rpm({ "a.rpm": "aaa", "b.rpm": "new", "c.rpm": "ccc" }, 2);
  world.now += HOUR;
  await repository.resolve(ROOT);
  await expect.poll(() => world.logs.join("\n")).toContain("down");
  await store(world, "os/b.rpm", "old", { storedAt: world.now });
  await world.store.delete(before);
  use(rows);
  restart();
  await expect.poll(() => headOf("os/b.rpm")).toBeUndefined();
});

test("a comparison that fails holds up none of another root", async () => {
  const { world, repository, rows, use, headOf } = setUp({
    ...rpm({ "a.rpm": "new" }),
    ...Object.fromEntries(Object.entries(rpm({ "a.rpm": "newer" }, 2)).map(([path, content]) => [path.replace(/^os/, "other"), content])),
  });
  await store(world, "os/a.rpm", "old");
  await store(world, "other/a.rpm", "old");
  use({ ...rows, page: (prefix, ...rest) => (prefix === "m/os/" ? Promise.reject(new Error("down")) : rows.page(prefix, ...rest)) });
  await repository.resolve(ROOT);
  await expect.poll(() => world.logs.join("\n")).toContain("down");
  await repository.resolve(ROOT.replace(/^os/, "other"));
  await expect.poll(() => headOf("other/a.rpm")).toBeUndefined();
  expect(headOf("os/a.rpm")).toBeDefined();
});

test("a comparison that never ends keeps no table waiting", async () => {
  const setup = setUp(rpm({ "a.rpm": "aaa" }));
  const { world, repository, directory } = setup;
  setup.use({ page: () => new Promise(() => {}), pick: () => new Promise(() => {}) });
  await repository.resolve(ROOT);
  await settle();
  const [before] = (await directory.lookUp("os/a.rpm", 0)).tables;
  world.origins[ONE] = rpm({ "a.rpm": "aaa", "b.rpm": "bbb" }, 2);
  world.now += HOUR;
  await repository.resolve(ROOT);
  await expect.poll(async () => (await directory.lookUp("os/a.rpm", 0)).tables[0]?.version).not.toBe(before?.version);
});

test("a newer version that comes between the comparison and the write is not overwritten", async () => {
  const { world, repository, headOf } = setUp(rpm({ "a.rpm": "aaa" }));
  await store(world, "os/a.rpm", "aaa", { provisional: true });
  const newer = { ...STORED, version: "1".repeat(32), sha256: sha256("new") };
  const { get } = world.store;
  world.store.get = async (key) => {
    if (key === "m/os/a.rpm") await world.store.put(key, newer, new TextEncoder().encode("new"));
    return get(key);
  };
  await repository.resolve(ROOT);
  await expect.poll(() => headOf("os/a.rpm")).toEqual(newer);
});
