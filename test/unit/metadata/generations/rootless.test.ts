import { expect, test } from "vitest";
import { clearsigned, release, sha256 } from "../samples.ts";
import { createWorld, type Files, ONE, type World } from "../world.ts";

const SECOND = 1000;
const TTL = 61 * SECOND;
const T = Date.UTC(2025, 11, 31) / SECOND;
const FEED = "packages/x86_64/base";

/** A feed of OpenWrt: an index in two forms with a signature that is not OpenPGP's, and no Release. */
function feed(mark: string): Files {
  return { [`${FEED}/Packages`]: `index ${mark}`, [`${FEED}/Packages.gz`]: `packed ${mark}`, [`${FEED}/Packages.sig`]: `usign ${mark}` };
}

const isFor = (name: string) => (request: string) => request.endsWith(`/${name}`);
const asked = (world: World, name: string): number => world.requests.filter(isFor(name)).length;

test("an index without any Release comes from the upstream, and the Release is asked for once a TTL", async () => {
  const world = createWorld([ONE]);
  world.origins[ONE] = feed("a");
  const repository = world.repository();
  for (let n = 0; n < 5; n++) {
    expect(await world.read(repository, `${FEED}/Packages.gz`)).toBe("packed a");
    expect(await repository.resolve(`${FEED}/Packages.xz`)).toEqual({ kind: "absent", status: 404 });
    expect(await repository.resolve(`${FEED}/Release.gpg`)).toEqual({ kind: "opaque" });
    world.now += SECOND;
  }
  expect(["InRelease", "Release"].map((name) => asked(world, name))).toEqual([1, 1]);
  // A second time, since nothing in the signature shows that it belongs to what was fetched before it.
  expect(["Packages.gz", "Packages.sig"].map((name) => asked(world, name))).toEqual([2, 1]);
  expect(asked(world, "Packages.xz")).toBe(1);
});

test("nothing is kept for what does not exist", async () => {
  const world = createWorld([ONE]);
  const repository = world.repository();
  for (const path of [
    "x/Packages.gz",
    "x/Packages",
    "x/Packages.sig",
    "x/InRelease",
    "x/Release.gpg",
    "x/repodata/repomd.xml",
    "x/summary.sig",
  ]) {
    expect(["absent", "opaque"]).toContain((await repository.resolve(path)).kind);
  }
  expect(world.kept.keys()).toEqual([]);
});

test.each([
  ["the index first", ["Packages.gz", "Packages.sig", "Packages"]],
  ["the signature first", ["Packages.sig", "Packages", "Packages.gz"]],
])("an index, its forms and its signature change together: %s", async (_name, order) => {
  const world = createWorld([ONE]);
  world.origins[ONE] = feed("a");
  const repository = world.repository();
  // At different times, so that no two of them would expire together by themselves.
  for (const name of ["Packages.gz", "Packages", "Packages.sig"]) {
    await repository.resolve(`${FEED}/${name}`);
    world.now += 20 * SECOND;
  }
  for (const mark of ["b", "c"]) {
    world.origins[ONE] = feed(mark);
    const before = String(feed(mark === "b" ? "a" : "b")[`${FEED}/Packages.sig`]);
    for (let second = 0; second < 80; second += 10) {
      const got = await Promise.all(order.map((name) => world.read(repository, `${FEED}/${name}`)));
      const marks = new Set(got.map((text) => text.at(-1)));
      expect(marks.size).toBe(1);
      if (second >= 60) expect(marks).toEqual(new Set([mark]));
      else expect([mark, before.at(-1)]).toContain([...marks][0]);
      world.now += 10 * SECOND;
    }
  }
});

test.each(["Packages.gz", "Packages.sig"])("%s that is asked for first after the index changed belongs to the new one", async (name) => {
  const world = createWorld([ONE]);
  // As `Packages` alone was asked for, nothing else is held.
  world.origins[ONE] = { [`${FEED}/Packages`]: "index a" };
  const repository = world.repository();
  await repository.resolve(`${FEED}/Packages`);
  world.now += 11 * SECOND;
  world.origins[ONE] = feed("b");
  expect(await world.read(repository, `${FEED}/${name}`)).toBe(feed("b")[`${FEED}/${name}`]);
  expect(await world.read(repository, `${FEED}/Packages`)).toBe("index b");
});

test("an unchanged index costs one conditional request for each of its files that clients use, once a TTL", async () => {
  const world = createWorld([ONE]);
  world.origins[ONE] = feed("a");
  const repository = world.repository();
  for (const name of ["Packages.gz", "Packages.sig"]) await repository.resolve(`${FEED}/${name}`);
  world.now += TTL;
  // The Release is asked for again first: there may be one by now.
  await repository.resolve(`${FEED}/Packages.gz`);
  world.requests.length = 0;
  for (let n = 0; n < 10; n++) await repository.resolve(`${FEED}/Packages.gz`);
  await repository.resolve(`${FEED}/Packages.sig`);
  expect(world.requests).toEqual([]);
});

test("an index goes on after a restart, and while the upstream is away", async () => {
  const world = createWorld([ONE]);
  world.origins[ONE] = feed("a");
  await world.repository().resolve(`${FEED}/Packages.gz`);
  world.origins[ONE] = null;
  world.now += TTL;
  const repository = world.repository();
  expect(await repository.resolve(`${FEED}/Packages.gz`)).toMatchObject({ kind: "object", state: "stale" });
  expect(await world.read(repository, `${FEED}/Packages.sig`)).toBe("usign a");
});

test("a Release that appears takes its indexes over", async () => {
  const world = createWorld([ONE]);
  world.origins[ONE] = { "obs/Packages": "index a" };
  const repository = world.repository();
  expect(await world.read(repository, "obs/Packages")).toBe("index a");
  world.origins[ONE] = { "obs/Packages": "index b", "obs/InRelease": clearsigned(release({ date: T, files: { Packages: "index b" } })) };
  world.now += TTL;
  expect(await world.read(repository, "obs/Packages")).toBe("index b");
  expect(repository.expectation("obs/Packages")).toMatchObject({ digest: sha256("index b") });
  expect(world.kept.keys().filter((key) => /^(?:place|root|standing):obs\/Packages/.test(key))).toEqual([]);
});

test.each(["os/repodata/primary.xml.gz", "os/repodata/repomd.xml.asc", "obs/Release.gpg", "os/core.db.sig", "obs/Translation-en.bz2"])(
  "%s without a root goes by its own name, and the root is asked for once a TTL",
  async (path) => {
    const world = createWorld([ONE]);
    world.origins[ONE] = { [path]: "content" };
    const repository = world.repository();
    for (let n = 0; n < 5; n++) expect(await repository.resolve(path)).toEqual({ kind: "opaque" });
    expect(world.requests.length).toBeLessThanOrEqual(2);
  },
);

test("what stands below a root that cannot be had goes by its own name", async () => {
  const world = createWorld([ONE]);
  const { open } = world.upstreams;
  const failing = async (request: Parameters<typeof open>[0]) =>
    request.path.endsWith("Release") ? ({ kind: "failure", status: 502, detail: "answered 500" } as const) : open(request);
  world.upstreams.open = failing;
  world.origins[ONE] = feed("a");
  const repository = world.repository();
  expect(await repository.resolve(`${FEED}/Packages.gz`)).toEqual({ kind: "opaque" });
  expect(await repository.resolve(`${FEED}/InRelease`)).toMatchObject({ kind: "failure" });
});

test.each([
  { file: "repo/summary", signature: "repo/summary.sig" },
  { file: "iso/SHA256SUMS", signature: "iso/SHA256SUMS.gpg" },
  { file: "iso/Image-1.0-CHECKSUM", signature: "iso/Image-1.0-CHECKSUM.asc" },
  { file: "iso/SHA512SUMS", signature: "iso/SHA512SUMS.minisig" },
])("$file and $signature always belong together, whichever is asked for first and when", async ({ file, signature }) => {
  const world = createWorld([ONE]);
  const make = (mark: string): Files => ({ [file]: `list ${mark}`, [signature]: `signature ${mark}` });
  world.origins[ONE] = make("a");
  const repository = world.repository();
  await repository.resolve(file);
  world.now += 30 * SECOND;
  await repository.resolve(signature);
  for (const mark of ["b", "c", "d"]) {
    world.origins[ONE] = make(mark);
    for (let second = 0; second < 90; second += 10) {
      const order = second % 20 === 0 ? [file, signature] : [signature, file];
      const got = [];
      for (const path of order) got.push((await world.read(repository, path)).at(-1));
      expect(new Set(got).size).toBe(1);
      if (second >= 70) expect(got[0]).toBe(mark);
      world.now += 10 * SECOND;
    }
  }
});

test("a list of checksums without a signature is a file like any other", async () => {
  const world = createWorld([ONE]);
  world.origins[ONE] = { "iso/SHA256SUMS": "list" };
  const repository = world.repository();
  expect(await world.read(repository, "iso/SHA256SUMS")).toBe("list");
  expect(await repository.resolve("iso/SHA256SUMS.gpg")).toEqual({ kind: "absent", status: 404 });
  expect(await repository.resolve("iso/SHA512SUMS")).toEqual({ kind: "absent", status: 404 });
});

test("a long index lies in slices, and changes with its signature all the same; one beyond the limit goes by its own name", async () => {
  const world = createWorld([ONE]);
  const make = (fill: number, length = 200_000): Files => ({
    [`${FEED}/Packages`]: new Uint8Array(length).fill(fill),
    [`${FEED}/Packages.sig`]: `usign ${fill}`,
  });
  world.origins[ONE] = make(7);
  const repository = world.repository();
  expect(await repository.resolve(`${FEED}/Packages`)).toMatchObject({ object: { size: 200_000, sliceBytes: 65_536 } });
  world.now += TTL;
  world.requests.length = 0;
  expect(await repository.resolve(`${FEED}/Packages`)).toMatchObject({ state: "revalidated" });
  world.origins[ONE] = make(8, 210_000);
  world.now += TTL;
  expect(await repository.resolve(`${FEED}/Packages`)).toMatchObject({ object: { size: 210_000 } });
  expect(await world.read(repository, `${FEED}/Packages.sig`)).toBe("usign 8");
  const long = createWorld([ONE]);
  long.origins[ONE] = make(7, 1_000_001);
  expect(await long.repository().resolve(`${FEED}/Packages`)).toEqual({ kind: "opaque" });
});
