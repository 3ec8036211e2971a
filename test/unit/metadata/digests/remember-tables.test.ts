import { expect, test } from "vitest";
import { rememberTables } from "../../../../src/metadata/digests/remember-tables.ts";
import { createTableDirectory, type TableDirectory } from "../../../../src/metadata/digests/table-directory.ts";
import { memoryState } from "../world.ts";

const TABLE = { version: "0".repeat(32), pages: 1, sliceBytes: 4096 };
const NEWER = { ...TABLE, version: "1".repeat(32) };

function rig(ttlMs = 60_000) {
  const asked: string[] = [];
  const clock = { now: 1_000_000 };
  const directory: TableDirectory = createTableDirectory({ kept: memoryState(), timer: () => () => {}, now: () => clock.now });
  const lookUp = rememberTables({
    ttlMs,
    now: () => clock.now,
    listings: async () => {
      asked.push("listings");
      return directory.listings();
    },
    lookUp: async (_mirror, path, waitMs) => {
      asked.push(path);
      return directory.lookUp(path, waitMs);
    },
  });
  return { asked, clock, directory, lookUp: (path: string, waitMs = 0) => lookUp("fedora", path, waitMs) };
}

test("packages of a folder with a table cost one call a minute, not one each", async () => {
  const { asked, clock, directory, lookUp } = rig();
  directory.publish("os", TABLE);
  for (const path of ["os/a.rpm", "os/b/c.rpm", "os/d.rpm"]) {
    expect(await lookUp(path)).toEqual({ base: "os", table: TABLE, building: false, remembered: true });
  }
  expect(asked).toEqual(["listings"]);
  clock.now += 60_000;
  await lookUp("os/e.rpm");
  expect(asked).toEqual(["listings", "listings"]);
});

test("the nearest folder answers, as it does in the directory", async () => {
  const { directory, lookUp } = rig();
  directory.publish("", TABLE);
  directory.publish("os/nested", NEWER);
  expect(await lookUp("os/nested/a.rpm")).toMatchObject({ base: "os/nested", table: NEWER });
  expect(await lookUp("os/a.rpm")).toMatchObject({ base: "", table: TABLE });
  expect(await lookUp("a.rpm")).toMatchObject({ base: "", table: TABLE });
});

test("who asks for the same path again gets the directory's own answer: its first one was doubted", async () => {
  const { directory, lookUp } = rig();
  directory.publish("os", TABLE);
  await lookUp("os/a.rpm");
  directory.publish("os", NEWER);
  expect(await lookUp("os/b.rpm")).toMatchObject({ table: TABLE, remembered: true });
  expect(await lookUp("os/a.rpm")).toEqual({ base: "os", table: NEWER, building: false });
  expect(await lookUp("os/c.rpm")).toMatchObject({ table: NEWER });
});

test("a folder without a table is always asked about: it may be getting one, and then notes the path", async () => {
  const { asked, directory, lookUp } = rig();
  await lookUp("os/a.rpm");
  directory.building("os");
  await lookUp("os/b.rpm");
  await lookUp("os/c.rpm");
  expect(asked).toEqual(["listings", "os/a.rpm", "os/b.rpm", "os/c.rpm"]);
  directory.publish("os", TABLE);
  expect(directory.unsettled("os")).toEqual({ table: TABLE, paths: ["os/b.rpm", "os/c.rpm"] });
});

test("without a TTL, and where a fill waits for a table, nothing is remembered", async () => {
  const { asked, directory, lookUp } = rig(0);
  directory.publish("os", TABLE);
  await lookUp("os/a.rpm");
  expect(asked).toEqual(["os/a.rpm"]);
  const waiting = rig();
  await waiting.lookUp("os/a.rpm", 100);
  expect(waiting.asked).toEqual(["os/a.rpm"]);
});

test("a directory of too many folders is asked path by path", async () => {
  const { asked, directory, lookUp } = rig();
  for (let n = 0; n <= 500; n++) directory.publish(`repo-${n}`, TABLE);
  expect(await lookUp("repo-7/a.rpm")).toEqual({ base: "repo-7", table: TABLE, building: false });
  expect(asked).toEqual(["listings", "repo-7/a.rpm"]);
});
