import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { createIndexTables } from "../../../../src/metadata/digests/index-tables.ts";
import { createRepositories } from "../../../../src/metadata/create-repositories.ts";
import { createTableReader } from "../../../../src/metadata/digests/read-table.ts";
import { createPublishedDigests } from "../../../../src/metadata/digests/published-digests.ts";
import { createTableDirectory } from "../../../../src/metadata/digests/table-directory.ts";
import type { Target } from "../../../../src/route/target.ts";
import { DECODERS } from "../../../support/decompressing.ts";
import { clearsigned, packages, pacmanDatabase, primary, release, repomd, sha256 } from "../samples.ts";
import { ALL_KNOWN, createWorld, type Files, HOUR, memoryState, ONE, portOf, repositoryPlaceOf, tableDependencies } from "../world.ts";

const T = Date.UTC(2025, 10, 30) / 1000;
const VICTIM = "owners/good/pool/x.rpm";
const GOOD = "the file of its owner";
const EVIL = "what another owner says";

/** The objects of repositories in several folders of one mirror, by their bases, over one store and one directory. */
function setUp() {
  const world = createWorld([ONE]);
  const directory = createTableDirectory({ kept: memoryState(), timer: world.timer, now: () => world.now });
  const works: Promise<unknown>[] = [];
  const repositoryOf = () => {
    const tables = createIndexTables({
      ...DECODERS,
      ...tableDependencies({ ...world, kept: memoryState() }),
      directory: portOf(() => directory),
    });
    const watched = {
      ...tables,
      prepare(...asked: Parameters<typeof tables.prepare>) {
        const prepared = tables.prepare(...asked);
        works.push(prepared);
        return prepared;
      },
    };
    return createWorldRepository(watched);
  };
  const createWorldRepository = (tables: ReturnType<typeof createIndexTables>) => {
    const { kept } = world;
    Object.assign(world, { kept: memoryState() });
    const repository = world.repository({ tables });
    Object.assign(world, { kept });
    return repository;
  };
  const repositories = createRepositories({
    store: world.store,
    now: () => world.now,
    known: ALL_KNOWN,
    repository: () => good.port,
    publishedDigests: createPublishedDigests({
      tables: createTableReader({ store: world.store }),
      lookUp: (_mirror, path, { waitMs = 0 }) => directory.lookUp(path, waitMs),
      noteAsked: () => {},
      onLost: () => {},
    }),
  });
  const good = repositoryOf();
  const evil = repositoryOf();
  return {
    world,
    good,
    evil,
    directory,
    expected: (path: string) => repositories.expected(targetOf(world.mirror, path)),
    idle: async () => void (await Promise.all(works.splice(0))),
    async store(path: string, content: string): Promise<void> {
      const bytes = new TextEncoder().encode(content);
      const facts = {
        version: "0".repeat(32),
        size: bytes.length,
        contentType: "x/y",
        upstream: ONE,
        storedAt: world.now,
        sha256: sha256(content),
      };
      await world.store.put(`m/${path}`, { ...facts, verified: "structure" }, bytes);
    },
    isStored: (path: string) => world.store.objects.has(`m/${path}`),
  };
}

const targetOf = (mirror: Target["mirror"], path: string): Target => {
  return { mirror, path, query: "", key: `m/${path}`, class: "package", rule: "", repository: repositoryPlaceOf(path) };
};

function rpm(base: string, revision: number, files: Readonly<Record<string, string>>, xml = primary(files)): Files {
  const content = gzipSync(xml);
  const href = `repodata/${sha256(content)}-primary.xml.gz`;
  return { [`${base}repodata/repomd.xml`]: repomd({ revision, data: { primary: [href, content] } }), [`${base}${href}`]: content };
}

function deb(base: string, date: number, files: Readonly<Record<string, string>>): Files {
  const index = gzipSync(packages(files));
  const listed = { "main/binary-amd64/Packages.gz": index };
  return {
    [`${base}dists/sid/InRelease`]: clearsigned(release({ date, files: listed })),
    [`${base}dists/sid/main/binary-amd64/Packages.gz`]: index,
  };
}

function flat(folder: string, date: number, files: Readonly<Record<string, string>>): Files {
  const index = gzipSync(packages(files));
  return { [`${folder}/Release`]: release({ date, files: { "Packages.gz": index } }), [`${folder}/Packages.gz`]: index };
}

const withBase = (base: string, location: string): string =>
  primary({ [location]: EVIL }).replace("<location ", `<location xml:base="${base}" `);

/** How another owner's index may name the file. `roots`: what a client asks for. */
const WAYS: readonly (readonly [way: string, files: (date: number) => Files | Promise<Files>, roots: readonly string[]])[] = [
  ["rpm: ..", (at) => rpm("owners/evil/", at, { "../good/pool/x.rpm": EVIL }), ["owners/evil/repodata/repomd.xml"]],
  ["rpm: // and /./", (at) => rpm("owners/evil/", at, { "..//good/./pool//x.rpm": EVIL }), ["owners/evil/repodata/repomd.xml"]],
  ["rpm: an absolute URL", (at) => rpm("owners/evil/", at, { [`${ONE}/${VICTIM}`]: EVIL }), ["owners/evil/repodata/repomd.xml"]],
  [
    "rpm: an absolute URL with escapes",
    (at) => rpm("owners/evil/", at, { [`${ONE}/owners/evil/%2e%2e/g%6fod/pool/x.rpm`]: EVIL }),
    ["owners/evil/repodata/repomd.xml"],
  ],
  [
    "rpm: xml:base, a URL",
    (at) => rpm("owners/evil/", at, {}, withBase(`${ONE}/owners/good/`, "pool/x.rpm")),
    ["owners/evil/repodata/repomd.xml"],
  ],
  ["rpm: xml:base, a folder", (at) => rpm("owners/evil/", at, {}, withBase("../good", "pool/x.rpm")), ["owners/evil/repodata/repomd.xml"]],
  ["rpm: from the top", (at) => rpm("", at, { [VICTIM]: EVIL }), ["repodata/repomd.xml"]],
  ["rpm: from the folder above", (at) => rpm("owners/", at, { "good/pool/x.rpm": EVIL }), ["owners/repodata/repomd.xml"]],
  [
    "deb: ..",
    (at) => deb("owners/evil/", at, { "../good/pool/x.rpm": EVIL }),
    ["owners/evil/dists/sid/InRelease", "owners/evil/dists/sid/main/binary-amd64/Packages.gz"],
  ],
  ["deb: from the top", (at) => deb("", at, { [VICTIM]: EVIL }), ["dists/sid/InRelease", "dists/sid/main/binary-amd64/Packages.gz"]],
  [
    "deb: flat, read from a folder above",
    (at) => flat("owners/evil", at, { "good/pool/x.rpm": EVIL }),
    ["owners/evil/Release", "owners/evil/Packages.gz"],
  ],
  [
    "deb: a lone index",
    (at) => ({ "owners/evil/Packages": packages({ "../good/pool/x.rpm": EVIL, [`a${at}`]: "a" }) }),
    ["owners/evil/Packages"],
  ],
  [
    "pacman",
    async (at) => ({ "owners/evil/evil.db": await pacmanDatabase({ "../good/pool/x.rpm": EVIL, [`a-${at}.pkg.tar.zst`]: "a" }) }),
    ["owners/evil/evil.db"],
  ],
];

describe.each(WAYS)("another repository that names a file (%s)", (_way, filesOf, roots) => {
  test("neither binds it nor deletes it where a nearer one exists", async () => {
    const { world, good, evil, expected, idle, store, isStored } = setUp();
    const own = rpm("owners/good/", T, { "pool/x.rpm": GOOD });
    world.origins[ONE] = { ...own, ...(await filesOf(T)) };
    await good.resolve("owners/good/repodata/repomd.xml");
    await idle();
    await store(VICTIM, GOOD);
    for (const root of roots) await evil.resolve(root);
    await idle();
    // The next generation names it otherwise once more.
    world.origins[ONE] = { ...own, ...(await filesOf(T + 60)) };
    world.now += HOUR;
    for (const root of roots) await evil.resolve(root);
    await idle();
    await world.pass(100_000);
    await idle();
    expect(await expected(VICTIM)).toEqual({
      kind: "known",
      expectations: [{ algorithm: "sha256", digest: sha256(GOOD), size: GOOD.length, source: "index" }],
    });
    expect(isStored(VICTIM)).toBe(true);
    expect(world.store.objects.get(`m/${VICTIM}`)?.object.provisional).toBeUndefined();
  });
});

/** Those whose own folder does not hold the file; a pacman database names files of its own folder alone. */
const REACHING = WAYS.filter(([way, , [root = ""]]) => root.startsWith("owners/evil/") && way !== "pacman");

test.each(REACHING)(
  "another repository that names a file (%s) deletes no stored copy where none is nearer",
  async (_way, filesOf, roots) => {
    const { world, evil, expected, idle, store, isStored } = setUp();
    await store(VICTIM, GOOD);
    for (const at of [T, T + 60]) {
      world.origins[ONE] = await filesOf(at);
      world.now += HOUR;
      for (const root of roots) await evil.resolve(root);
      await idle();
      await world.pass(100_000);
      await idle();
    }
    expect(await expected(VICTIM)).toMatchObject({ kind: "known", isReaching: true });
    expect(isStored(VICTIM)).toBe(true);
  },
);

test("a list of checksums in a folder takes no files from the repository above it", async () => {
  const { world, good, expected, idle } = setUp();
  world.origins[ONE] = { ...rpm("owners/good/", T, { "pool/x.rpm": GOOD }), "owners/good/pool/SHA256SUMS": `${sha256("y")}  y\n` };
  await good.resolve("owners/good/repodata/repomd.xml");
  await good.resolve("owners/good/pool/SHA256SUMS");
  await idle();
  expect(await expected(VICTIM)).toMatchObject({ kind: "known" });
});
