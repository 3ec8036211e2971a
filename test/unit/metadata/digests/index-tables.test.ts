import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { packTar } from "modern-tar";
import { expect, test } from "vitest";
import type { Repositories } from "../../../../src/metadata/ports/repositories.ts";
import { createIndexTables } from "../../../../src/metadata/digests/index-tables.ts";
import { createRepositories } from "../../../../src/metadata/create-repositories.ts";
import { createTableReader } from "../../../../src/metadata/digests/read-table.ts";
import { createPublishedDigests } from "../../../../src/metadata/digests/published-digests.ts";
import { createTableDirectory, type TableDirectory } from "../../../../src/metadata/digests/table-directory.ts";
import type { Target } from "../../../../src/route/target.ts";
import type { Known } from "../../../../src/verify/expectation.ts";
import type { StoredObject } from "../../../../src/store/stored-object.ts";
import { makeApk } from "../../../support/apk-package.ts";
import { DECODERS } from "../../../support/decompressing.ts";
import { clearsigned, packages, pacmanDatabase, primary, release, repomd, sha256 } from "../samples.ts";
import {
  ALL_KNOWN,
  createWorld,
  type Files,
  HOUR,
  memoryState,
  ONE,
  type PathRepository,
  repositoryPlaceOf,
  settle,
  TWO,
  type World,
  portOf,
  tableDependencies,
} from "../world.ts";
import type { RootProtection } from "../../../../src/watch/history.ts";

const T = Date.UTC(2025, 11, 31) / 1000;
const ROOT = "os/repodata/repomd.xml";
const DB = "core/os/x86_64/core.db";
const PACKAGES = "dists/sid/main/binary-amd64/Packages";

interface Setup {
  readonly world: World;
  readonly repository: PathRepository;
  readonly repositories: Repositories;
  readonly directory: TableDirectory;
  /** What was reported last of each root. */
  readonly protections: Record<string, RootProtection | null>;
  /** Bases whose tables were found lost. */
  readonly lost: string[];
  /** Ends when no table is being built any more. */
  idle(): Promise<void>;
}

function setUp(): Setup {
  const world = createWorld([ONE]);
  const directory = createTableDirectory({ kept: memoryState(), timer: world.timer, now: () => world.now });
  const protections: Setup["protections"] = {};
  const tables = createIndexTables({
    ...DECODERS,
    ...tableDependencies(world),
    directory: portOf(() => directory),
    onProtection: (root, protection) => void (protections[root] = protection),
  });
  let last: Promise<unknown> = Promise.resolve();
  const watched = {
    ...tables,
    prepare: (...args: Parameters<typeof tables.prepare>) => {
      const prepared = tables.prepare(...args);
      last = prepared;
      return prepared;
    },
  };
  const repository = world.repository({ tables: watched });
  const lost: string[] = [];
  const repositories = createRepositories({
    store: world.store,
    now: () => world.now,
    known: ALL_KNOWN,
    repository: () => repository.port,
    publishedDigests: createPublishedDigests({
      tables: createTableReader({ store: world.store }),
      lookUp: (_mirror, path, { waitMs = 0 }) => directory.lookUp(path, waitMs),
      noteAsked: () => {},
      onLost: (_mirror, base) => void (lost.push(base), repository.rebuildTables(base)),
    }),
  });
  return { world, repository, repositories, directory, protections, lost, idle: async () => void (await last) };
}

const target = (world: World, path: string, pathClass: Target["class"] = "package"): Target => ({
  mirror: world.mirror,
  path,
  query: "",
  key: `m/${path}`,
  class: pathClass,
  rule: "",
  repository: repositoryPlaceOf(path),
});
const known = (content: string): Known => ({
  kind: "known",
  expectations: [{ algorithm: "sha256", digest: sha256(content), size: content.length, source: "index" }],
});

function xzSync(text: string): Uint8Array {
  return new Uint8Array(execFileSync("xz", ["-c"], { input: text }));
}

function rpm(revision: number, files: Readonly<Record<string, string>>): Files {
  const content = gzipSync(primary(files));
  const href = `repodata/${sha256(content)}-primary.xml.gz`;
  return { [ROOT]: repomd({ revision, data: { primary: [href, content] } }), [`os/${href}`]: content };
}

function suite(name: string, date: number, files: Readonly<Record<string, string>>): Files {
  const content = packages(files);
  const gzip = gzipSync(content);
  const at = `dists/${name}/main/binary-amd64/Packages`;
  const listed = { "main/binary-amd64/Packages": content, "main/binary-amd64/Packages.gz": gzip, "main/binary-amd64/Packages.lzma": "xz" };
  return { [`dists/${name}/InRelease`]: clearsigned(release({ date, files: listed })), [`${at}.gz`]: gzip, [`${at}.lzma`]: "xz" };
}

async function store(world: World, path: string, content: string, more: Partial<StoredObject> = {}): Promise<void> {
  const bytes = new TextEncoder().encode(content);
  const object = {
    version: "0".repeat(32),
    size: bytes.length,
    contentType: "x/y",
    upstream: ONE,
    storedAt: 0,
    verified: "structure",
    sha256: sha256(content),
    ...more,
  } as const;
  await world.store.put(`m/${path}`, object, bytes);
}

test("packages of a published rpm repository are known by one page of one read", async () => {
  const { world, repository, repositories, idle } = setUp();
  world.origins[ONE] = rpm(T, { "Packages/a.rpm": "aaa", "b.rpm": "b" });
  await repository.resolve(ROOT);
  await idle();
  expect(await repositories.expected(target(world, "os/Packages/a.rpm"))).toEqual(known("aaa"));
  expect(await repositories.expected(target(world, "os/b.rpm", "unstable-package"))).toEqual(known("b"));
  expect(await repositories.expected(target(world, "os/c.rpm"))).toEqual({ kind: "none" });
  expect(await repositories.expected(target(world, "elsewhere/b.rpm"))).toEqual({ kind: "none" });
});

test("an rpm re-signed under its name, of the same size, loses its stored head before the new root is published; the others stay", async () => {
  const { world, repository, repositories } = setUp();
  world.origins[ONE] = rpm(T, { "a.rpm": "unsigned", "b.rpm": "b" });
  await repository.resolve(ROOT);
  await store(world, "os/a.rpm", "unsigned");
  await store(world, "os/b.rpm", "b");
  world.origins[ONE] = rpm(T + 1, { "a.rpm": "resigned", "b.rpm": "b" });
  world.now += HOUR;
  await repository.resolve(ROOT);
  expect(world.store.objects.has("m/os/a.rpm")).toBe(false);
  expect(world.store.objects.has("m/os/b.rpm")).toBe(true);
  expect(await repositories.expected(target(world, "os/a.rpm"))).toEqual(known("resigned"));
});

test("the table of a deb suite covers the indexes that clients used, read from a form that can be read", async () => {
  const { world, repository, repositories, idle } = setUp();
  world.origins[ONE] = suite("sid", T, { "pool/a.deb": "aaa" });
  await repository.resolve("dists/sid/InRelease");
  await idle();
  expect(await repositories.expected(target(world, "pool/a.deb"))).toEqual({ kind: "none" });
  await repository.resolve("dists/sid/main/binary-amd64/Packages.lzma");
  await idle();
  expect(await repositories.expected(target(world, "pool/a.deb"))).toEqual(known("aaa"));
});

test("suites share one pool: each one's packages are known, and one that both name with different bytes may be either", async () => {
  const { world, repository, repositories, idle } = setUp();
  world.origins[ONE] = {
    ...suite("sid", T, { "pool/a.deb": "aaa", "pool/both.deb": "one" }),
    ...suite("stable", T, { "pool/b.deb": "b", "pool/both.deb": "two" }),
  };
  for (const name of ["sid", "stable"]) {
    await repository.resolve(`dists/${name}/InRelease`);
    await repository.resolve(`dists/${name}/main/binary-amd64/Packages.gz`);
  }
  await idle();
  expect(await repositories.expected(target(world, "pool/a.deb"))).toEqual(known("aaa"));
  expect(await repositories.expected(target(world, "pool/b.deb"))).toEqual(known("b"));
  const both = await repositories.expected(target(world, "pool/both.deb"));
  expect(both.kind === "known" && both.expectations.map(({ digest }) => digest).toSorted()).toEqual(
    [sha256("one"), sha256("two")].toSorted(),
  );
});

test("a package whose old bytes another live suite still names keeps its head", async () => {
  const { world, repository, idle } = setUp();
  world.origins[ONE] = { ...suite("sid", T, { "pool/a.deb": "old" }), ...suite("stable", T, { "pool/a.deb": "old" }) };
  for (const name of ["sid", "stable"]) {
    await repository.resolve(`dists/${name}/InRelease`);
    await repository.resolve(`dists/${name}/main/binary-amd64/Packages.gz`);
  }
  await idle();
  await store(world, "pool/a.deb", "old");
  world.origins[ONE] = { ...world.origins[ONE], ...suite("sid", T + 1, { "pool/a.deb": "new" }) };
  world.now += HOUR;
  await repository.resolve("dists/sid/InRelease");
  await idle();
  expect(world.store.objects.has("m/pool/a.deb")).toBe(true);
  world.origins[ONE] = { ...world.origins[ONE], ...suite("stable", T + 1, { "pool/a.deb": "new" }) };
  await repository.resolve("dists/stable/InRelease");
  await idle();
  expect(world.store.objects.has("m/pool/a.deb")).toBe(false);
});

test("packages of a pacman database are known below its folder; its .files twin and its other names add nothing", async () => {
  const { world, repository, repositories, idle } = setUp();
  const files = { "a-1:1.0+1-1-any.pkg.tar.zst": "aaa" };
  world.origins[ONE] = {
    [DB]: gzipSync(await pacmanDatabase(files)),
    "core/os/x86_64/core.files": gzipSync(await pacmanDatabase({ ...files, "only-in-files.pkg.tar.zst": "x" })),
    "core/os/x86_64/core.db.tar.gz": gzipSync(await pacmanDatabase({ "a-1:1.0+1-1-any.pkg.tar.zst": "of long ago" })),
  };
  for (const path of Object.keys(world.origins[ONE])) expect(await repository.resolve(path)).toMatchObject({ kind: "object" });
  await idle();
  expect(await repositories.expected(target(world, "core/os/x86_64/a-1:1.0+1-1-any.pkg.tar.zst"))).toEqual(known("aaa"));
  expect(await repositories.expected(target(world, "core/os/x86_64/only-in-files.pkg.tar.zst"))).toEqual({ kind: "none" });
  expect(await repositories.expected(target(world, "extra/os/x86_64/a-1:1.0+1-1-any.pkg.tar.zst"))).toEqual({ kind: "none" });
  expect(world.logs.filter((line) => line.startsWith("error"))).toEqual([]);
});

test("a pacman database so long that it lies in slices is read from them", async () => {
  const { world, repository, repositories, idle } = setUp();
  const files = Object.fromEntries(Array.from({ length: 2000 }, (_, n) => [`p${n}-1-1-any.pkg.tar.zst`, `content ${n}`]));
  const content = gzipSync(await pacmanDatabase(files));
  expect(content.length).toBeGreaterThan(64 * 1024);
  world.origins[ONE] = { [DB]: content };
  await repository.resolve(DB);
  await idle();
  expect(await repositories.expected(target(world, "core/os/x86_64/p1999-1-1-any.pkg.tar.zst"))).toEqual(known("content 1999"));
});

test("no client has a pacman database before its table is announced", async () => {
  const world = createWorld([ONE]);
  world.origins[ONE] = { [DB]: gzipSync(await pacmanDatabase({ "a.pkg.tar.zst": "aaa" })) };
  const announced: string[] = [];
  let allow = (): void => {};
  const allowed = new Promise<void>((resolve) => (allow = resolve));
  const tables = createIndexTables({
    ...DECODERS,
    ...tableDependencies(world),
    log: () => {},
    directory: {
      building: (base) => (announced.push(base), allowed),
      publish: async () => {},
      basesBelow: async () => [],
      bases: async () => [],
    },
  });
  let isAnswered = false;
  const answer = world
    .repository({ tables })
    .resolve(DB)
    .finally(() => (isAnswered = true));
  while (announced.length === 0) await settle();
  expect({ announced, isAnswered }).toEqual({ announced: ["core/os/x86_64"], isAnswered: false });
  allow();
  expect(await answer).toMatchObject({ kind: "object" });
});

test("a directory that does not hear of a table is a line in the log; the root is published all the same", async () => {
  const world = createWorld([ONE]);
  world.origins[ONE] = { [DB]: gzipSync(await pacmanDatabase({ "a.pkg.tar.zst": "aaa" })) };
  const tables = createIndexTables({
    ...DECODERS,
    ...tableDependencies(world),
    log: (level, message) => world.logs.push(`${level}: ${message}`),
    directory: {
      building: async () => {
        throw new Error("gone");
      },
      publish: async () => {},
      basesBelow: async () => [],
      bases: async () => [],
    },
  });
  expect(await world.repository({ tables }).resolve(DB)).toMatchObject({ kind: "object" });
  expect(world.logs).toContain(`error: m: cannot announce the digest table of ${DB}: Error: gone`);
});

test("a pacman package that is rebuilt under its name loses its stored head before the new database is published", async () => {
  const { world, repository, repositories } = setUp();
  world.origins[ONE] = { [DB]: gzipSync(await pacmanDatabase({ "a.pkg.tar.zst": "old", "b.pkg.tar.zst": "b" })) };
  await repository.resolve(DB);
  await store(world, "core/os/x86_64/a.pkg.tar.zst", "old");
  await store(world, "core/os/x86_64/b.pkg.tar.zst", "b");
  world.origins[ONE] = { [DB]: gzipSync(await pacmanDatabase({ "a.pkg.tar.zst": "new", "b.pkg.tar.zst": "b" })) };
  world.now += HOUR;
  await repository.resolve(DB);
  expect(world.store.objects.has("m/core/os/x86_64/a.pkg.tar.zst")).toBe(false);
  expect(world.store.objects.has("m/core/os/x86_64/b.pkg.tar.zst")).toBe(true);
  expect(await repositories.expected(target(world, "core/os/x86_64/a.pkg.tar.zst"))).toEqual(known("new"));
});

test("a pacman database that is no archive is handed out all the same, as its clients judge it, and makes no table", async () => {
  const { world, repository, repositories, idle } = setUp();
  world.origins[ONE] = { [DB]: gzipSync("no archive ".repeat(100)) };
  expect(await repository.resolve(DB)).toMatchObject({ kind: "object" });
  await idle();
  expect(world.logs.join("\n")).toContain("cannot be read as a tar archive");
  expect(await repositories.expected(target(world, "core/os/x86_64/a.pkg.tar.zst"))).toEqual({ kind: "none" });
});

test("Alpine's index binds a package by the checksum of its control segment", async () => {
  const { world, repository, repositories, idle, protections } = setUp();
  const apk = await makeApk("content");
  const body = `C:${apk.checksum}\nP:a\nV:1-r0\nA:x86_64\nS:${apk.bytes.length}\n\n`;
  const index = gzipSync(await packTar([{ header: { name: "APKINDEX", size: body.length }, body }]));
  world.origins[ONE] = { "main/x86_64/APKINDEX.tar.gz": index };
  expect(await repository.resolve("main/x86_64/APKINDEX.tar.gz")).toMatchObject({ kind: "object" });
  await idle();
  expect(await repositories.expected(target(world, "main/x86_64/a-1-r0.apk"))).toEqual({
    kind: "known",
    expectations: [{ algorithm: "apk-control-sha1", digest: apk.control, source: "index" }],
  });
  expect(protections["main/x86_64/APKINDEX.tar.gz"]).toEqual({ state: "bound", packages: 1, skipped: 0, detail: null });
});

test("where clients ask only for pacman's list of files, or another name of the database, the database itself names the packages", async () => {
  const { world, repository, repositories } = setUp();
  world.origins[ONE] = {
    [DB]: gzipSync(await pacmanDatabase({ "a.pkg.tar.zst": "aaa" })),
    "core/os/x86_64/core.files": gzipSync(await pacmanDatabase({ "a.pkg.tar.zst": "of long ago" })),
  };
  await repository.resolve("core/os/x86_64/core.files");
  await expect.poll(() => repositories.expected(target(world, "core/os/x86_64/a.pkg.tar.zst"))).toEqual(known("aaa"));
});

test("a form of an index that is named and not there is no reason to read none: the next one is taken", async () => {
  const { world, repository, repositories, idle, protections } = setUp();
  world.origins[ONE] = suite("sid", T, { "pool/a.deb": "old" });
  await repository.resolve("dists/sid/InRelease");
  await repository.resolve(`${PACKAGES}.gz`);
  await idle();
  expect(await repositories.expected(target(world, "pool/a.deb"))).toEqual(known("old"));
  const [gzip, xz] = [gzipSync(packages({ "pool/a.deb": "aaa" })), xzSync(packages({ "pool/a.deb": "aaa" }))];
  const listed = { "main/binary-amd64/Packages.gz": gzip, "main/binary-amd64/Packages.xz": xz };
  world.origins[ONE] = { "dists/sid/InRelease": clearsigned(release({ date: T + 1, files: listed })), [`${PACKAGES}.xz`]: xz };
  world.now += HOUR;
  await repository.resolve("dists/sid/InRelease");
  await idle();
  expect(await repositories.expected(target(world, "pool/a.deb"))).toEqual(known("aaa"));
  expect(protections["dists/sid"]).toMatchObject({ state: "bound" });
});

test.each<[string, (content: string) => string, (content: string) => object]>([
  [
    "SHA-512",
    (content) => `SHA512: ${createHash("sha512").update(content).digest("hex")}\nSize: ${content.length}`,
    (content) => ({ algorithm: "sha512", digest: createHash("sha512").update(content).digest("hex"), size: content.length }),
  ],
  [
    "SHA-1 and MD5",
    (content) => `MD5sum: ${createHash("md5").update(content).digest("hex")}\nSHA1: ${createHash("sha1").update(content).digest("hex")}`,
    (content) => ({ algorithm: "sha1", digest: createHash("sha1").update(content).digest("hex") }),
  ],
  ["the size alone", (content) => `Size: ${content.length}`, (content) => ({ algorithm: "size", digest: String(content.length), size: 3 })],
])("an index that states %s binds its packages by that", async (_what, state, expected) => {
  const { world, repository, repositories, idle } = setUp();
  const index = gzipSync(`Package: p\nFilename: pool/a.deb\n${state("aaa")}\n`);
  const listed = { "main/binary-amd64/Packages.gz": index };
  world.origins[ONE] = { "dists/sid/InRelease": clearsigned(release({ date: T, files: listed })), [`${PACKAGES}.gz`]: index };
  await repository.resolve("dists/sid/InRelease");
  await repository.resolve(`${PACKAGES}.gz`);
  await idle();
  expect(await repositories.expected(target(world, "pool/a.deb"))).toEqual({
    kind: "known",
    expectations: [{ ...expected("aaa"), source: "index" }],
  });
});

test("an entry that leads out of the mirror is left out by itself, and counted; one that leads out of the folder names a file there", async () => {
  const { world, repository, repositories, idle, protections } = setUp();
  world.origins[ONE] = rpm(T, { "a.rpm": "aaa", "../blobs/b.rpm": "b", "../../../x.rpm": "x" });
  await repository.resolve(ROOT);
  await idle();
  expect(await repositories.expected(target(world, "os/a.rpm"))).toEqual(known("aaa"));
  expect(await repositories.expected(target(world, "blobs/b.rpm"))).toEqual({ ...known("b"), isReaching: true });
  expect(protections["os/repodata"]).toEqual({
    state: "partly",
    packages: 3,
    skipped: 1,
    detail: '"../../../x.rpm" lies outside this mirror',
  });
  expect(world.logs.filter((line) => line.startsWith("warn"))).toEqual([
    'warn: m: 1 entries of the indexes of os/repodata could not be used, e.g. "../../../x.rpm" lies outside this mirror; its other packages are bound to digests',
  ]);
});

/** What the index in `debian/binary/` names outside its folder only counts as long as no repository is nearer. */
function reached(path: string, content: string): Known {
  const named = known(content);
  return path.startsWith("debian/binary/") ? named : { ...named, isReaching: true };
}

test("a flat repository in a folder names its packages relative to whatever URL above it clients were given", async () => {
  const { world, repository, repositories, idle } = setUp();
  const index = gzipSync(packages({ "binary/a.deb": "aaa", "./b.deb": "b" }));
  world.origins[ONE] = {
    "debian/binary/Release": release({ date: T, files: { "Packages.gz": index } }),
    "debian/binary/Packages.gz": index,
  };
  await repository.resolve("debian/binary/Release");
  await repository.resolve("debian/binary/Packages.gz");
  await idle();
  for (const path of ["debian/binary/a.deb", "debian/binary/binary/a.deb", "binary/a.deb"]) {
    expect(await repositories.expected(target(world, path))).toEqual(reached(path, "aaa"));
  }
  for (const path of ["debian/binary/b.deb", "debian/b.deb", "b.deb"]) {
    expect(await repositories.expected(target(world, path))).toEqual(reached(path, "b"));
  }
});

test("a published index names files of any class: below dists/, and in folders called latest or nightly", async () => {
  const { world, repository, repositories, idle } = setUp();
  const path = "dists/bookworm/pool/stable/amd64/docker_1_amd64.deb";
  const files = suite("sid", T, { [path]: "docker" });
  world.origins[ONE] = { ...files, ...rpm(T, { "latest/x.rpm": "x" }) };
  await repository.resolve("dists/sid/InRelease");
  await repository.resolve(`${PACKAGES}.gz`);
  await repository.resolve(ROOT);
  await idle();
  expect(await repositories.expected(target(world, path, "volatile"))).toEqual(known("docker"));
  expect(await repositories.expected(target(world, "os/latest/x.rpm", "volatile"))).toEqual(known("x"));
  expect(await repositories.expected(target(world, "os/latest/", "volatile"))).toEqual({ kind: "none" });
});

test("the nearest repository decides: another one cannot name its files, nor delete them", async () => {
  const { world, repository, directory, repositories, idle } = setUp();
  directory.publish("owner/b", "owner/b/repodata", { version: null, why: "it cannot be read", isReaching: false });
  world.origins[ONE] = rpm(T, { "../owner/b/x.rpm": "x", "a.rpm": "a" });
  await repository.resolve(ROOT);
  await idle();
  expect(await repositories.expected(target(world, "owner/b/x.rpm"))).toEqual({ kind: "none" });
  expect(await repositories.naming(target(world, "owner/b/x.rpm"))).toEqual({
    repository: "owner/b",
    roots: [],
    whys: ["owner/b/repodata: it cannot be read"],
  });
  expect(await repositories.naming(target(world, "os/a.rpm"))).toEqual({ repository: "os", roots: ["os/repodata"], whys: [] });
  await store(world, "owner/b/x.rpm", "x");
  world.origins[ONE] = rpm(T + 1, { "../owner/b/x.rpm": "other", "a.rpm": "a" });
  world.now += HOUR;
  await repository.resolve(ROOT);
  await idle();
  expect(world.store.objects.has("m/owner/b/x.rpm")).toBe(true);
});

test("that packages are bound to no digest is said with its reason, and ends once an index can be read", async () => {
  const { world, repository, repositories, idle, protections } = setUp();
  const broken = gzipSync("<metadata><package>");
  world.origins[ONE] = {
    [ROOT]: repomd({ revision: T, data: { primary: ["repodata/p.xml.gz", broken] } }),
    "os/repodata/p.xml.gz": broken,
  };
  await repository.resolve(ROOT);
  await idle();
  expect(protections["os/repodata"]).toMatchObject({
    state: "not",
    packages: 0,
    detail: expect.stringContaining("os/repodata/p.xml.gz: "),
  });
  expect((await repositories.naming(target(world, "os/a.rpm"))).whys).toEqual([
    expect.stringContaining("os/repodata: os/repodata/p.xml.gz: "),
  ]);
  expect(world.logs.filter((line) => line.includes("no digest table of os/repodata"))).toHaveLength(1);
  world.origins[ONE] = rpm(T + 1, { "a.rpm": "aaa" });
  world.now += HOUR;
  await repository.resolve(ROOT);
  await idle();
  expect(protections["os/repodata"]).toEqual({ state: "bound", packages: 1, skipped: 0, detail: null });
  expect(world.logs).toContain("info: m: the 1 packages of os/repodata are bound to digests");
});

test("an index that no client has asked for binds nothing, and that is as it should be", async () => {
  const { world, repository, idle, protections } = setUp();
  world.origins[ONE] = suite("sid", T, { "pool/a.deb": "aaa" });
  await repository.resolve("dists/sid/InRelease");
  await idle();
  expect(protections["dists/sid"]).toMatchObject({
    state: "not",
    isExpected: true,
    detail: expect.stringContaining("no client has asked"),
  });
});

test("a root that is no more takes its table along: nothing is refused for what it said", async () => {
  const { world, repository, repositories, idle } = setUp();
  world.origins[ONE] = { "binary/Packages": packages({ "a.deb": "aaa" }) };
  await repository.resolve("binary/Packages");
  await idle();
  expect(await repositories.expected(target(world, "binary/a.deb"))).toEqual(known("aaa"));
});

test("tables of an earlier version are made anew, and their heads deleted", async () => {
  const { world, directory, repositories } = setUp();
  world.origins[ONE] = rpm(T, { "a.rpm": "aaa" });
  const old = { version: "0".repeat(32), pages: 1, sliceBytes: 4096 };
  world.kept.save("table:os/repodata", JSON.stringify({ table: old, digests: [] }));
  world.kept.save("merged", `-/table/${"1".repeat(32)}`);
  const repository = world.repository({
    tables: createIndexTables({ ...DECODERS, ...tableDependencies(world), directory: portOf(() => directory) }),
  });
  await repository.resolve(ROOT);
  await expect.poll(() => repositories.expected(target(world, "os/a.rpm"))).toEqual(known("aaa"));
  expect(world.store.deleted).toEqual([`-/table/${"0".repeat(32)}`, `-/table/${"1".repeat(32)}`]);
  expect(world.kept.keys().filter((key) => key.startsWith("table:") || key === "merged")).toEqual([]);
});

test("retention is to spare what live tables lie in", async () => {
  const { world, repository, idle } = setUp();
  world.origins[ONE] = rpm(T, { "a.rpm": "aaa" });
  await repository.resolve(ROOT);
  await idle();
  await expect.poll(() => world.published.filter((key) => key.startsWith("-/table/"))).toHaveLength(1);
  const [key = ""] = world.published.filter((one) => one.startsWith("-/table/"));
  expect(world.store.objects.has(key)).toBe(true);
});

test("while the first table is being built a fill waits for it, at most as long as it likes, and then is provisional", async () => {
  const { world, directory, repositories } = setUp();
  directory.building("os", "os/repodata");
  expect(await repositories.expected(target(world, "os/a.rpm"))).toEqual({ kind: "building" });
  const waiting = repositories.expected(target(world, "os/a.rpm"), { waitMs: 5000 });
  await settle();
  await world.pass(5000);
  expect(await waiting).toEqual({ kind: "building" });
  const lucky = repositories.expected(target(world, "os/a.rpm"), { waitMs: 5000 });
  await settle();
  directory.publish("os", "os/repodata", { version: null, why: null, isReaching: false });
  expect(await lucky).toEqual({ kind: "none" });
});

test("an index that clients begin to use later makes the table building again, and what it knows stays known", async () => {
  const { world, repository, repositories, idle, directory } = setUp();
  const other = gzipSync(packages({ "pool/arm.deb": "arm" }));
  const first = gzipSync(packages({ "pool/a.deb": "aaa" }));
  const listed = { "main/binary-amd64/Packages.gz": first, "main/binary-arm64/Packages.gz": other };
  world.origins[ONE] = {
    "dists/sid/InRelease": clearsigned(release({ date: T, files: listed })),
    "dists/sid/main/binary-amd64/Packages.gz": first,
    "dists/sid/main/binary-arm64/Packages.gz": other,
  };
  await repository.resolve("dists/sid/main/binary-amd64/Packages.gz");
  await idle();
  directory.building("", "dists/sid");
  expect(await repositories.expected(target(world, "pool/a.deb"))).toEqual(known("aaa"));
  expect(await repositories.expected(target(world, "pool/arm.deb"))).toEqual({ kind: "building" });
  await repository.resolve("dists/sid/main/binary-arm64/Packages.gz");
  await idle();
  expect(await repositories.expected(target(world, "pool/arm.deb"))).toEqual(known("arm"));
});

test("a build that died is not waited for", async () => {
  const { world, directory, repositories } = setUp();
  directory.building("os", "os/repodata");
  world.now += HOUR;
  expect(await repositories.expected(target(world, "os/a.rpm"), { waitMs: 5000 })).toEqual({ kind: "none" });
});

test.each<[string, Readonly<Record<string, string>> | Uint8Array, string]>([
  ["a bomb", gzipSync(`<metadata>${" ".repeat(3_000_000)}</metadata>`), "more than 1000 bytes once decompressed"],
])("an index with %s leaves the packages unknown and says so; the repository goes on", async (_name, content, says) => {
  const { world, repository, repositories, idle } = setUp();
  if (content instanceof Uint8Array) {
    const root = repomd({ revision: T, data: { primary: ["repodata/p.xml.gz", content] } }).replace(
      "<size>",
      "<open-size>1000</open-size><size>",
    );
    world.origins[ONE] = { [ROOT]: root, "os/repodata/p.xml.gz": content };
  } else {
    world.origins[ONE] = rpm(T, content);
  }
  expect(await repository.resolve(ROOT)).toMatchObject({ kind: "object" });
  await idle();
  expect(world.logs.join("\n")).toContain(says);
  expect(await repositories.expected(target(world, "os/a.rpm"))).toEqual({ kind: "none" });
});

test("a table that the store lost is built again as soon as a package is looked up, which is not known meanwhile", async () => {
  const { world, repository, repositories, idle, lost } = setUp();
  world.origins[ONE] = rpm(T, { "a.rpm": "aaa" });
  await repository.resolve(ROOT);
  await idle();
  await world.store.delete([...world.store.objects.keys()].filter((key) => key.startsWith("-/table/")));
  expect(await repositories.expected(target(world, "os/a.rpm"))).toEqual({ kind: "building" });
  expect(lost).toContain("os");
  await expect.poll(() => repositories.expected(target(world, "os/a.rpm"))).toEqual(known("aaa"));
});

test("a table that the store lost is built again when the repository starts anew", async () => {
  const { world, repository, repositories, idle, directory } = setUp();
  world.origins[ONE] = rpm(T, { "a.rpm": "aaa" });
  await repository.resolve(ROOT);
  await idle();
  await world.store.delete([...world.store.objects.keys()].filter((key) => key.startsWith("-/table/")));
  world.repository({ tables: createIndexTables({ ...DECODERS, ...tableDependencies(world), directory: portOf(() => directory) }) });
  await expect.poll(() => world.store.objects.size).toBeGreaterThan(2);
  expect(await repositories.expected(target(world, "os/a.rpm"))).toEqual(known("aaa"));
});

test("a stored file that its name verifies is answered without asking the repository; members and packages get what is known of them", async () => {
  const { world, repository, repositories, idle } = setUp();
  world.origins[ONE] = suite("sid", T, { "pool/a.deb": "aaa" });
  const path = `dists/sid/main/binary-amd64/by-hash/SHA256/${sha256("xz")}`;
  await repository.resolve("dists/sid/InRelease");
  await repository.resolve("dists/sid/main/binary-amd64/Packages.lzma");
  await idle();
  const offline = createRepositories({
    store: world.store,
    now: () => world.now,
    known: ALL_KNOWN,
    publishedDigests: null,
    repository: () => {
      throw new Error("asked");
    },
  });
  expect(await offline.resolve(target(world, path, "hashed"))).toMatchObject({
    kind: "object",
    key: `-/sha256/${sha256("xz")}`,
    state: "fresh",
  });
  expect(await offline.resolve(target(world, "dists/sid/InRelease", "root"))).toMatchObject({ kind: "failure", status: 503 });
  expect(await offline.resolve(target(world, "README", "root"))).toEqual({ kind: "opaque" });
  expect(await offline.expected(target(world, "pool/a.deb"))).toEqual({ kind: "none" });
  expect(await repositories.expected(target(world, path, "hashed"))).toEqual({
    kind: "known",
    expectations: [{ algorithm: "sha256", digest: sha256("xz"), source: "name" }],
  });
  expect(await repositories.expected(target(world, "dists/sid/main/binary-amd64/Packages.lzma", "member"))).toEqual(known("xz"));
});

test("a metalink names one place and the digest of the published repomd.xml", async () => {
  const { world, repositories } = setUp();
  world.origins[ONE] = rpm(T, {});
  const url = "https://fedora.test/os/repodata/repomd.xml";
  const metalink = (await repositories.metalink(target(world, ROOT, "root"), `${url}?a&b`)) ?? "";
  expect(metalink).toContain(`<hash type="sha256">${sha256(String(world.origins[ONE]?.[ROOT]))}</hash>`);
  expect(metalink).toContain(`<mm0:timestamp>${T}</mm0:timestamp>`);
  expect(metalink).toContain("repomd.xml?a&amp;b</url>");
  expect(await repositories.metalink(target(world, "os/a.rpm"), url)).toBeNull();
  world.origins[ONE] = {};
  expect(await setUp().repositories.metalink(target(world, ROOT, "root"), url)).toBeNull();
});

test("an index that another mirror stored first is known to be used all the same, and stays so while it is", async () => {
  const { world, repository, repositories, idle } = setUp();
  const before = suite("sid", T, { "pool/a.deb": "aaa" });
  world.origins[ONE] = before;
  const index = before["dists/sid/main/binary-amd64/Packages.gz"] as Uint8Array;
  const key = `-/sha256/${sha256(index)}`;
  const object = { version: "v", size: index.length, contentType: "x/y", upstream: TWO, storedAt: world.now, verified: "digest" } as const;
  await world.store.put(key, object, index);
  await repository.resolve("dists/sid/InRelease");
  const hashed = target(world, `dists/sid/main/binary-amd64/by-hash/SHA256/${sha256(index)}`, "hashed");
  await repositories.noteUse(hashed);
  await idle();
  expect(await repositories.expected(target(world, "pool/a.deb"))).toEqual(known("aaa"));

  // As long as it is asked for, every day of the retention: a later generation still has its table.
  for (let day = 0; day < 100; day++) {
    world.now += 24 * HOUR;
    await repositories.noteUse(hashed);
  }
  await store(world, "m/pool/a.deb", "aaa");
  world.origins[ONE] = suite("sid", T + 100, { "pool/a.deb": "bbb" });
  await repository.resolve("dists/sid/InRelease");
  await idle();
  expect(world.store.objects.has("m/pool/a.deb")).toBe(false);
  expect(await repositories.expected(target(world, "pool/a.deb"))).toEqual(known("bbb"));
});

test("an index that another mirror stores between two looks at the store is known to be used too", async () => {
  const { world, repository, repositories, idle } = setUp();
  world.origins[ONE] = suite("sid", T, { "pool/a.deb": "aaa" });
  const index = world.origins[ONE]["dists/sid/main/binary-amd64/Packages.gz"] as Uint8Array;
  await repository.resolve("dists/sid/InRelease");
  // Looked up in vain before; there now.
  const object = { version: "v", size: index.length, contentType: "x/y", upstream: TWO, storedAt: world.now, verified: "digest" } as const;
  await world.store.put(`-/sha256/${sha256(index)}`, object, index);
  const hashed = target(world, `dists/sid/main/binary-amd64/by-hash/SHA256/${sha256(index)}`, "hashed");
  expect(await repositories.resolve(hashed)).toMatchObject({ kind: "object" });
  await idle();
  expect(await repositories.expected(target(world, "pool/a.deb"))).toEqual(known("aaa"));
});

test("packages of an index without any Release are bound by that index, and by the Release's once one appears", async () => {
  const { world, repository, repositories, idle, protections } = setUp();
  const index = (content: string): Uint8Array => gzipSync(packages({ "a_1_all.ipk": content }));
  const expected = () => repositories.expected(target(world, "feed/a_1_all.ipk"));
  world.origins[ONE] = { "feed/Packages.gz": index("one"), "feed/Packages.sig": "signature" };
  await repository.resolve("feed/Packages.gz");
  await idle();
  expect(await expected()).toEqual(known("one"));
  world.origins[ONE] = { "feed/Packages.gz": index("two"), "feed/Packages.sig": "another signature" };
  world.now += HOUR;
  await repository.resolve("feed/Packages.gz");
  await idle();
  expect(await expected()).toEqual(known("two"));
  const bytes = index("three");
  world.origins[ONE] = {
    "feed/Packages.gz": bytes,
    "feed/InRelease": clearsigned(release({ date: T, files: { "Packages.gz": bytes } })),
  };
  world.now += HOUR;
  await repository.resolve("feed/InRelease");
  await repository.resolve("feed/Packages.gz");
  await idle();
  await settle();
  expect(await expected()).toEqual(known("three"));
  expect(protections["feed/Packages"] ?? null).toBeNull();
});
