import { describe, expect, test } from "vitest";
import { createKnownRepositories } from "../../../src/metadata/known-repositories.ts";
import type { Target } from "../../../src/route/target.ts";
import { placeOf } from "../../../src/route/place.ts";
import { createNodeDigest } from "../../support/verifying.ts";
import { repomd } from "./samples.ts";
import { createWorld, DAY, ONE, TWO, type World } from "./world.ts";

const REPOMD = "os/repodata/repomd.xml";
const CONFIG = { metadataTtlSeconds: 60, metadataWaitSeconds: 10, prefetchBytes: 1_000_000, sliceBytes: 65_536 };

function setUp(config: Partial<typeof CONFIG> = {}, upstreams: readonly string[] = [ONE]) {
  const world = createWorld(upstreams);
  const ledger = { names: new Set<string>(), asked: [] as string[], isAway: false };
  const known = createKnownRepositories({
    config: { ...CONFIG, ...config },
    store: world.store,
    upstreams: world.upstreams,
    createDigest: createNodeDigest,
    now: () => world.now,
    timer: world.timer,
    isPublished: async (name) => {
      ledger.asked.push(name);
      if (ledger.isAway) throw new Error("overloaded");
      return ledger.names.has(name);
    },
    waitUntil: () => {},
    log: (message) => world.logs.push(message),
  });
  const find = (path: string) => known.find(target(world, path));
  return { world, ledger, known, find };
}

function target({ mirror }: World, path: string): Target {
  return { mirror, path, query: "", key: `m/${path}`, ...placeOf(mirror, path) };
}

describe("a repository that the ledger knows", () => {
  test("is called without a question to the upstreams, and asked for at the ledger once a day", async () => {
    const { world, ledger, find } = setUp();
    ledger.names.add("m/os");
    for (let n = 0; n < 3; n++) expect(await find(REPOMD)).toEqual({ kind: "known", early: [] });
    expect(await find("os/repodata/primary.xml.gz")).toEqual({ kind: "known", early: [] });
    expect([world.requests, ledger.asked]).toEqual([[], ["m/os"]]);
    world.now += DAY;
    await find(REPOMD);
    expect(ledger.asked).toEqual(["m/os", "m/os"]);
  });

  test("may be called while the ledger is away: it may have published something", async () => {
    const { world, ledger, find } = setUp();
    ledger.isAway = true;
    expect(await find(REPOMD)).toEqual({ kind: "known", early: [] });
    expect(world.requests).toEqual([]);
    ledger.isAway = false;
    expect(await find(REPOMD)).toEqual({ kind: "absent", status: 404 });
  });
});

describe("a repository that the ledger does not know", () => {
  test("is there where an upstream has its root, which is handed to it", async () => {
    const { world, find } = setUp();
    world.origins[ONE] = { [REPOMD]: repomd({ revision: 1, data: {} }) };
    const found = await find(REPOMD);
    expect(found).toMatchObject({ kind: "known", early: [["os/repodata", { kind: "fetched", file: { path: REPOMD } }]] });
    expect(await find(REPOMD)).toEqual({ kind: "known", early: [] });
    expect(world.requests).toEqual([`one ${REPOMD}`]);
  });

  test.each([
    [REPOMD, ["one os/repodata/repomd.xml"], "absent"],
    ["dists/sid/InRelease", ["one dists/sid/InRelease", "one dists/sid/Release"], "absent"],
    ["dists/sid/Release", ["one dists/sid/InRelease", "one dists/sid/Release"], "absent"],
    ["a/core.db", ["one a/core.db"], "absent"],
    ["a/x86_64/APKINDEX.tar.gz", ["one a/x86_64/APKINDEX.tar.gz"], "absent"],
    ["a/SHA256SUMS", ["one a/SHA256SUMS"], "absent"],
    ["flat/Packages.gz", ["one flat/InRelease", "one flat/Release", "one flat/Packages.gz"], "absent"],
    ["flat/Packages.gz.asc", ["one flat/InRelease", "one flat/Release"], "opaque"],
    ["os/repodata/primary.xml.gz", ["one os/repodata/repomd.xml"], "opaque"],
    ["os/repodata/repomd.xml.asc", ["one os/repodata/repomd.xml"], "opaque"],
    ["dists/sid/main/Contents-amd64.gz", ["one dists/sid/InRelease", "one dists/sid/Release"], "opaque"],
    [`os/repodata/${"a".repeat(64)}-primary.xml.gz`, [], "opaque"],
    [`dists/sid/main/by-hash/SHA256/${"a".repeat(64)}`, [], "opaque"],
    ["os/a.rpm", [], "opaque"],
  ])("is not there where no upstream has the root of %s: asked once in ten seconds", async (path, requests, kind) => {
    const { world, ledger, find } = setUp();
    for (let n = 0; n < 3; n++) expect((await find(path)).kind).toBe(kind);
    expect(world.requests).toEqual(requests);
    expect(ledger.asked.length).toBeLessThanOrEqual(1);
    expect(world.store.objects.size).toBe(0);
    world.now += 10_000;
    await find(path);
    expect(world.requests).toEqual([...requests, ...requests]);
  });

  test("that appears is found at once where METADATA_TTL is 0", async () => {
    const { world, find } = setUp({ metadataTtlSeconds: 0 });
    expect((await find(REPOMD)).kind).toBe("absent");
    world.origins[ONE] = { [REPOMD]: repomd({ revision: 1, data: {} }) };
    expect((await find(REPOMD)).kind).toBe("known");
  });

  test("is there where its index stands in for a root", async () => {
    const { world, find } = setUp();
    world.origins[ONE] = { "flat/Packages.gz": "index" };
    expect(await find("flat/Packages.gz")).toMatchObject({
      kind: "known",
      early: [
        ["flat", { kind: "absent" }],
        ["flat/Packages", { kind: "fetched", file: { path: "flat/Packages.gz" } }],
      ],
    });
  });

  test("is not there for the page of an upstream that answers everything with one", async () => {
    const { world, find } = setUp();
    world.origins[ONE] = { [REPOMD]: "<html><body>not found</body></html>", "dists/a/InRelease": "<html>not found</html>" };
    expect(await find(REPOMD)).toEqual({ kind: "opaque" });
    expect((await find("dists/a/InRelease")).kind).toBe("opaque");
    expect(world.store.objects.size).toBe(0);
  });

  test("is not created while its upstreams are away: their failure is the answer, and is not remembered", async () => {
    const { world, find } = setUp({}, [ONE, TWO]);
    world.origins[ONE] = null;
    world.origins[TWO] = null;
    expect(await find(REPOMD)).toMatchObject({ kind: "failure", status: 502 });
    expect(await find("os/repodata/primary.xml.gz")).toEqual({ kind: "opaque" });
    world.origins[TWO] = { [REPOMD]: repomd({ revision: 1, data: {} }) };
    expect((await find(REPOMD)).kind).toBe("known");
  });

  test("is asked for once by a thousand clients at the same time, who all get the answer or the failure of that", async () => {
    const { world, find } = setUp({ metadataTtlSeconds: 0 });
    let open = (): void => {};
    world.gate = new Promise((resolve) => (open = resolve));
    const all = Array.from({ length: 1_000 }, () => find(REPOMD));
    await new Promise((resolve) => setImmediate(resolve));
    open();
    expect(new Set((await Promise.all(all)).map(({ kind }) => kind))).toEqual(new Set(["absent"]));
    expect(world.requests).toHaveLength(1);
  });

  test("whose upstream says nothing is given up after METADATA_WAIT, and found where the upstream answers later", async () => {
    const { world, find } = setUp();
    let open = (): void => {};
    world.gate = new Promise((resolve) => (open = resolve));
    world.origins[ONE] = { [REPOMD]: repomd({ revision: 1, data: {} }) };
    const first = find(REPOMD);
    await world.waitFor(5_000);
    await world.pass(5_000);
    await world.waitFor(5_000);
    await world.pass(5_000);
    expect(await first).toMatchObject({ kind: "failure", status: 504 });
    open();
    await world.pass(0);
    expect((await find(REPOMD)).kind).toBe("known");
  });
});
