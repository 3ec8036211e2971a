import { describe, expect, test } from "vitest";
import { StoreError } from "../../../../src/store/object-store.ts";
import { clearsigned, release, repomd } from "../samples.ts";
import { createWorld, type Files, ONE, TWO, type World } from "../world.ts";

const SECOND = 1000;
const T = Date.UTC(2025, 11, 31) / SECOND;
const ROOT = "os/repodata/repomd.xml";
const PRIMARY = "os/repodata/primary.xml";

const generation = (revision: number): Files => {
  const primary = `primary ${revision}`;
  return { [ROOT]: repomd({ revision, data: { primary: ["repodata/primary.xml", primary] } }), [PRIMARY]: primary };
};

/** From now on the store of `world` takes nothing; the returned function ends that. */
function fillUp(world: World): () => void {
  const { put, putSlice } = world.store;
  const refuse = async (): Promise<never> => {
    throw new StoreError("unavailable", "Cannot PUT objects/x in the state folder: no space");
  };
  Object.assign(world.store, { put: refuse, putSlice: refuse });
  return () => void Object.assign(world.store, { put, putSlice });
}

describe("a store that takes nothing more", () => {
  test("has what is published served, as long as an upstream confirms it or none answers", async () => {
    const world = createWorld([ONE]);
    const repository = world.repository();
    const files = generation(T);
    world.origins[ONE] = files;
    expect(await world.read(repository, ROOT)).toBe(files[ROOT]);
    fillUp(world);
    world.now += 61 * SECOND;
    expect(await world.read(repository, ROOT)).toBe(files[ROOT]);
    expect(await world.read(repository, PRIMARY)).toBe(files[PRIMARY]);
    world.origins[ONE] = null;
    world.now += 61 * SECOND;
    expect(await world.read(repository, ROOT)).toBe(files[ROOT]);
  });

  test("has a new root passed on as the upstream has it, with all that belongs to it, and publishes it once there is room", async () => {
    const world = createWorld([ONE]);
    const repository = world.repository();
    const before = generation(T);
    world.origins[ONE] = before;
    await world.read(repository, ROOT);
    const empty = fillUp(world);
    const after = generation(T + 1);
    world.origins[ONE] = { ...after, [`${ROOT}.asc`]: "signature" };
    world.now += 61 * SECOND;
    for (const path of [ROOT, PRIMARY, `${ROOT}.asc`]) expect([path, await world.read(repository, path)]).toEqual([path, "opaque"]);
    // The published root says nothing of another generation's files.
    expect(repository.expectation(PRIMARY)).toBeNull();
    expect(world.standings.at(-1)?.[1]).toMatchObject({ trouble: expect.stringContaining("no space") });
    // Until the TTL is over it is not fetched for the store again.
    world.requests.length = 0;
    expect(await world.read(repository, ROOT)).toBe("opaque");
    expect(world.requests).toEqual([]);
    expect(world.logs.filter((line) => line.includes("passed on"))).toHaveLength(1);
    // What is published is better than nothing, where the upstream does not answer any more.
    world.origins[ONE] = null;
    world.now += 61 * SECOND;
    expect(await world.read(repository, ROOT)).toBe(before[ROOT]);
    world.origins[ONE] = after;
    empty();
    world.now += 61 * SECOND;
    expect(await world.read(repository, ROOT)).toBe(after[ROOT]);
    expect(await world.read(repository, PRIMARY)).toBe(after[PRIMARY]);
  });

  test("has a repository passed on that nothing is published of", async () => {
    const world = createWorld([ONE, TWO]);
    const repository = world.repository();
    fillUp(world);
    const packages = "Package: a\n";
    world.origins[ONE] = {
      "dists/sid/InRelease": clearsigned(release({ date: T, files: { "main/binary-amd64/Packages": packages } })),
      "dists/sid/main/binary-amd64/Packages": packages,
    };
    for (const path of Object.keys(world.origins[ONE])) expect([path, await world.read(repository, path)]).toEqual([path, "opaque"]);
  });

  test("holds no generation back over members that it does not take: they are passed on, and not fetched for it at each request", async () => {
    const world = createWorld([ONE]);
    let asked = 0;
    const { ensureStored } = world;
    let isFull = false;
    const filling: typeof ensureStored = async (request) => {
      if (!isFull) return ensureStored(request);
      asked++;
      return { kind: "unkept", reason: `the store did not take ${request.key}` };
    };
    const repository = Object.assign(world, { ensureStored: filling }).repository();
    world.origins[ONE] = generation(T);
    await world.read(repository, ROOT);
    isFull = true;
    const after = generation(T + 1);
    world.origins[ONE] = after;
    world.now += 61 * SECOND;
    expect(await world.read(repository, ROOT)).toBe(after[ROOT]);
    for (let times = 0; times < 3; times++) expect(await world.read(repository, PRIMARY)).toBe("opaque");
    expect(asked).toBe(1);
    isFull = false;
    world.now += 61 * SECOND;
    expect(await world.read(repository, PRIMARY)).toBe(after[PRIMARY]);
  });
});
