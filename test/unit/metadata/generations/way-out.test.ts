import { expect, test } from "vitest";
import { createKnownRoots } from "../../../../src/metadata/generations/known-roots.ts";
import { createMismatches } from "../../../../src/metadata/generations/mismatches.ts";
import { createMembers } from "../../../../src/metadata/members/members.ts";
import { clearsigned, release, repomd } from "../samples.ts";
import { createNodeDigest as createDigest } from "../../../support/verifying.ts";
import { createWorld, type Files, ONE, repositoryPlaceOf, settle } from "../world.ts";

const SECOND = 1000;
const T = Date.UTC(2025, 11, 31) / SECOND;
const ROOT = "os/repodata/repomd.xml";

const rpm = (revision: number): Files => {
  const primary = `primary ${revision}`;
  return { [ROOT]: repomd({ revision, data: { primary: ["repodata/primary.xml", primary] } }), ["os/repodata/primary.xml"]: primary };
};

test("while an upstream takes longer than METADATA_WAIT_SECONDS, one request waits for it and not each", async () => {
  const world = createWorld([ONE]);
  const repository = world.repository();
  world.origins[ONE] = rpm(T);
  const first = await world.read(repository, ROOT);
  await world.pass(61 * SECOND);
  world.origins[ONE] = rpm(T + 1);
  world.gate = new Promise(() => {});
  const early = world.read(repository, ROOT);
  await world.waitFor(10 * SECOND);
  await world.pass(4 * SECOND);
  const later = world.read(repository, ROOT);
  await settle();
  await world.pass(6 * SECOND);
  expect(await Promise.all([early, later])).toEqual([first, first]);
  expect(await world.read(repository, "os/repodata/primary.xml")).toBe(`primary ${T}`);
});

test("a request for the root of a suite that cannot be had takes no file from the suite above it", async () => {
  const world = createWorld([ONE]);
  const repository = world.repository();
  const packages = "Package: a\n";
  world.origins[ONE] = {
    "dists/sid/InRelease": clearsigned(release({ date: T, files: { "main/binary-amd64/Packages": packages } })),
    "dists/sid/main/binary-amd64/Packages": packages,
    "dists/sid/main/InRelease": "<html><body>There is no such file, says status 200.</body></html>",
    "dists/sid/main/Release": "<html><body>There is no such file, says status 200.</body></html>",
  };
  await world.read(repository, "dists/sid/InRelease");
  await world.read(repository, "dists/sid/main/binary-amd64/Packages");
  expect(await world.read(repository, "dists/sid/main/InRelease")).toBe("opaque");
  world.origins[ONE]["dists/sid/main/binary-amd64/Packages"] = "Package: of the next generation\n";
  expect(await world.read(repository, "dists/sid/main/binary-amd64/Packages")).toBe(packages);
});

test("memory does not grow with the roots that somebody asks for and no upstream gives", async () => {
  const world = createWorld([ONE]);
  const { ensureStored, kept, mirror, store, timer, upstreams } = world;
  const now = () => world.now;
  const limits = { metadataTtlSeconds: 60, metadataWaitSeconds: 10, doubtSeconds: 600, prefetchBytes: 1_000_000 };
  const members = createMembers({ mirror, ensureStored, kept, now, usedForMs: 90 * 86_400 * SECOND });
  const mismatches = createMismatches(kept, now, 600);
  const said = { onPublished: () => {}, onStanding: () => {}, onAbsent: () => {}, log: () => {} };
  const stores = { mirror, upstreams, store, kept, createDigest, sliceBytes: 64 * 1024, retentionDays: 90, rememberMs: 0, tables: null };
  const roots = createKnownRoots({ ...stores, ...said, members, mismatches, limits, timer, now });
  world.origins[ONE] = rpm(T);
  const keep = async (path: string) => roots.keeperOf(repositoryPlaceOf(path) ?? expect.fail(path)).current();
  expect(await keep(ROOT)).toMatchObject({ kind: "held" });
  world.origins[ONE] = null;
  for (let n = 0; n < 3_000; n++) expect(await keep(`dists/a${n}/InRelease`)).toMatchObject({ kind: "failure" });
  expect(roots.keepers.size).toBeLessThan(2_000);
  expect(roots.keepers.has("os/repodata")).toBe(true);
});

test("a hold ends at its deadline, also where METADATA_TTL_SECONDS is longer", async () => {
  const world = createWorld([ONE]);
  const repository = world.repository({ ttl: 86_400 });
  const withOther = (revision: number): Files => {
    const [primary, other] = [`primary ${revision}`, `other ${revision}`];
    const data = { primary: ["repodata/primary.xml", primary], other: ["repodata/other.xml", other] } as const;
    return { [ROOT]: repomd({ revision, data }), "os/repodata/primary.xml": primary, "os/repodata/other.xml": other };
  };
  world.origins[ONE] = withOther(T);
  const first = await world.read(repository, ROOT);
  world.origins[ONE] = withOther(T + 1);
  world.faults.set(`${ONE} os/repodata/other.xml`, "fails");
  await world.pass(86_401 * SECOND);
  expect(await world.read(repository, ROOT)).toBe(first);
  expect(world.standings.at(-1)?.[1]?.hold).toMatchObject({ kind: "sync", until: world.now + 600 * SECOND });
  const asked = world.requests.length;
  await world.pass(599 * SECOND);
  expect(await world.read(repository, ROOT)).toBe(first);
  expect(world.requests).toHaveLength(asked);
  await world.pass(SECOND);
  await expect.poll(() => world.read(repository, ROOT)).toBe(withOther(T + 1)[ROOT]);
});

test("a root that an earlier version could not read is read after an update, though its upstream never changes it", async () => {
  const world = createWorld([ONE]);
  world.origins[ONE] = rpm(T);
  await world.read(world.repository(), ROOT);
  const saved = JSON.parse(world.kept.load("root:os/repodata") ?? "") as object;
  world.kept.save("root:os/repodata", JSON.stringify({ ...saved, parsed: null }));
  const repository = world.repository();
  await world.pass(61 * SECOND);
  await world.read(repository, ROOT);
  world.origins[ONE]["os/repodata/primary.xml"] = "primary of the next generation";
  expect(await world.read(repository, "os/repodata/primary.xml")).toBe(`primary ${T}`);
});

test("a root that no version can read is fetched whole once after a restart, and then conditionally", async () => {
  const world = createWorld([ONE]);
  world.origins[ONE] = { [ROOT]: "of another format" };
  expect(await world.read(world.repository(), ROOT)).toBe("of another format");
  const repository = world.repository();
  const { upstreams } = world;
  const published = world.logs.filter((line) => line.includes("published")).length;
  const conditional: boolean[] = [];
  const { open } = upstreams;
  upstreams.open = (request) => {
    if (request.path === ROOT) conditional.push(request.conditional !== undefined);
    return open(request);
  };
  for (let n = 0; n < 3; n++) {
    await world.pass(61 * SECOND);
    expect(await world.read(repository, ROOT)).toBe("of another format");
  }
  expect(conditional).toEqual([false, true, true]);
  expect(world.logs.filter((line) => line.includes("published"))).toHaveLength(published);
});
