import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { createIndexTables } from "../../../src/metadata/digests/index-tables.ts";
import { createTableDirectory } from "../../../src/metadata/digests/table-directory.ts";
import type { RootProtection } from "../../../src/watch/history.ts";
import { type FileBeingRead, type SetAside, watchReadings } from "../../../src/watch/readings.ts";
import { DECODERS } from "../../support/decompressing.ts";
import { clearsigned, primary, release, repomd, sha256 } from "./samples.ts";
import { createWorld, type Files, memoryState, ONE, portOf, tableDependencies } from "./world.ts";

const T = Date.UTC(2025, 11, 31) / 1000;
const ROOT = "os/repodata/repomd.xml";
const MINUTE = 60_000;

function setUp(part: SetAside["part"], minutes: number) {
  const world = createWorld([ONE]);
  const directory = createTableDirectory({ kept: memoryState(), timer: world.timer, now: () => world.now });
  const protections: Record<string, RootProtection | null> = {};
  const said: (FileBeingRead | null)[] = [];
  const aside = { mirror: world.mirror.name, base: "os", part, file: "os/x", since: world.now, until: world.now + minutes * MINUTE };
  const readings = watchReadings({
    setAside: [aside],
    now: () => world.now,
    sleep: async () => {},
    say: (line) => void said.push((JSON.parse(line) as { reading: FileBeingRead | null }).reading),
  });
  const tables = createIndexTables({
    ...DECODERS,
    ...tableDependencies(world),
    readings,
    directory: portOf(() => directory),
    onProtection: (root, protection) => void (protections[root] = protection),
  });
  let last: Promise<unknown> = Promise.resolve();
  const prepare = (...args: Parameters<typeof tables.prepare>) => {
    const prepared = tables.prepare(...args);
    last = prepared;
    return prepared;
  };
  const repository = world.repository({ readings, tables: { ...tables, prepare } });
  return { world, repository, protections, said, idle: async (): Promise<void> => void (await last) };
}

function rpm(revision: number): Files {
  const content = gzipSync(primary({ "a.rpm": String(revision) }));
  const href = `repodata/${sha256(content)}-primary.xml.gz`;
  return { [ROOT]: repomd({ revision, data: { primary: [href, content] } }), [`os/${href}`]: content };
}

test("an index that is set aside is served and not read; when its time is over it is read again", async () => {
  const { world, repository, protections, said, idle } = setUp("index", 10);
  const files = rpm(T);
  world.origins[ONE] = files;
  expect(await world.read(repository, ROOT)).toBe(files[ROOT]);
  await idle();
  expect(protections["os/repodata"]).toMatchObject({
    state: "not",
    detail: expect.stringMatching(/stood still .*not read again before/) as string,
  });
  expect(said.some((reading) => reading?.part === "index")).toBe(false);
  await world.pass(11 * MINUTE);
  expect(await world.read(repository, ROOT)).toBe(files[ROOT]);
  await idle();
  expect(protections["os/repodata"]).toMatchObject({ state: "bound" });
  expect(said.find((reading) => reading?.part === "index")).toMatchObject({ base: "os", file: Object.keys(files)[1] });
  expect(said.at(-1)).toBeNull();
});

test("a root that is set aside is not read, and passed on as any file; when its time is over it is read again", async () => {
  const { world, repository, said } = setUp("root", 10);
  const files = rpm(T);
  world.origins[ONE] = files;
  expect(await world.read(repository, ROOT)).toBe("opaque");
  expect(said).toEqual([]);
  await world.pass(11 * MINUTE);
  expect(await world.read(repository, ROOT)).toBe(files[ROOT]);
  expect(said[0]).toMatchObject({ part: "root", file: ROOT });
});

test("what is published of a root that is set aside stays for an hour at most, and says why", async () => {
  const world = createWorld([ONE]);
  const files = rpm(T);
  world.origins[ONE] = files;
  expect(await world.read(world.repository(), ROOT)).toBe(files[ROOT]);
  const again = world.repository({
    readings: watchReadings({
      setAside: [
        { mirror: world.mirror.name, base: "os", part: "root", file: ROOT, since: world.now, until: world.now + 24 * 60 * MINUTE },
      ],
      now: () => world.now,
      sleep: async () => {},
      say: null,
    }),
  });
  world.origins[ONE] = rpm(T + 1);
  await world.pass(2 * MINUTE);
  const resolution = await again.resolve(ROOT);
  expect(resolution).toMatchObject({ kind: "object", state: "stale", detail: expect.stringContaining("not read again before") as string });
  for (let minutes = 0; minutes < 70; minutes += 5) {
    await world.pass(5 * MINUTE);
    await again.resolve(ROOT);
  }
  expect(await world.read(again, ROOT)).toBe("opaque");
});

test("a Release and its signature are read under watch as well", async () => {
  const { world, repository, said } = setUp("index", 10);
  world.origins[ONE] = {
    "dists/sid/Release": release({ date: T, files: { "main/binary-amd64/Packages": "Package: a\n" } }),
    "dists/sid/Release.gpg": "no signature",
    "dists/sid/main/binary-amd64/Packages": "Package: a\n",
  };
  await world.read(repository, "dists/sid/Release");
  expect(said.map((reading) => reading?.file ?? null)).toEqual(["dists/sid/Release", null, "dists/sid/Release.gpg", null]);
  said.splice(0);
  world.origins[ONE]["dists/other/InRelease"] = clearsigned(release({ date: T, files: {} }));
  await world.read(repository, "dists/other/InRelease");
  expect(said.map((reading) => reading?.file ?? null).slice(0, 2)).toEqual(["dists/other/InRelease", null]);
});
