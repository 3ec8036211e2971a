import { expect, test } from "vitest";
import { RECENT_MS, rememberTables } from "../../../../src/metadata/digests/remember-tables.ts";
import { createTableDirectory, type PublishedTable, type TableDirectory } from "../../../../src/metadata/digests/table-directory.ts";
import type { AskDigests } from "../../../../src/metadata/ports/repositories.ts";
import { memoryState } from "../world.ts";

const TABLE: PublishedTable = { version: "0".repeat(64), why: null, isReaching: false };
const NEWER: PublishedTable = { ...TABLE, version: "1".repeat(64) };

function rig(ttlMs = 60_000) {
  const asked: string[] = [];
  const clock = { now: 1_000_000 };
  const directory: TableDirectory = createTableDirectory({ kept: memoryState(), timer: () => () => {}, now: () => clock.now });
  const tables = rememberTables({
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
  return {
    asked,
    clock,
    directory,
    lookUp: (path: string, ask: AskDigests = {}) => tables.lookUp("fedora", path, ask),
    noteAsked: () => tables.noteAsked("fedora"),
  };
}
const tablesOf = (base: string, table: PublishedTable, root = base) => [{ base, root, version: table.version }];

test("packages of a folder with a table cost one call a minute, not one each", async () => {
  const { asked, clock, directory, lookUp } = rig();
  directory.publish("os", "os", TABLE);
  for (const path of ["os/a.rpm", "os/b/c.rpm", "os/a.rpm", "os/a.rpm"]) {
    expect(await lookUp(path)).toMatchObject({ base: "os", tables: tablesOf("os", TABLE), building: false });
  }
  expect(asked).toEqual(["listings"]);
  clock.now += 60_000;
  await lookUp("os/e.rpm");
  expect(asked).toEqual(["listings", "listings"]);
});

test("the nearest folder answers, as it does in the directory, whether it has a table or not", async () => {
  const { directory, lookUp } = rig();
  directory.publish("", "dists/a", TABLE);
  directory.publish("os/nested", "os/nested", NEWER);
  directory.publish("os/bare", "os/bare", { version: null, why: "it cannot be read", isReaching: false });
  for (const ask of [lookUp, (path: string) => directory.lookUp(path, 0)]) {
    expect(await ask("os/nested/a.rpm")).toMatchObject({ base: "os/nested", tables: tablesOf("os/nested", NEWER) });
    expect(await ask("os/a.rpm")).toMatchObject({ base: "", tables: tablesOf("", TABLE, "dists/a") });
    expect(await ask("a.rpm")).toMatchObject({ base: "" });
    expect(await ask("os/bare/a.rpm")).toMatchObject({ base: "os/bare", tables: [], whys: ["os/bare: it cannot be read"] });
  }
});

test("all suites of an archive answer", async () => {
  const { directory, lookUp } = rig();
  directory.publish("", "dists/a", TABLE);
  directory.publish("", "dists/b", NEWER);
  expect((await lookUp("pool/a.deb")).tables).toEqual([...tablesOf("", TABLE, "dists/a"), ...tablesOf("", NEWER, "dists/b")]);
});

test("a table that reaches out of its folder answers where no repository is nearer, and nowhere else", async () => {
  const { directory, lookUp } = rig();
  directory.publish("yum/el9", "yum/el9/repodata", { ...TABLE, isReaching: true });
  directory.publish("yum/el8", "yum/el8/repodata", NEWER);
  expect(await lookUp("blobs/a.rpm")).toMatchObject({ base: null, tables: tablesOf("yum/el9", TABLE, "yum/el9/repodata") });
  expect((await lookUp("yum/el8/a.rpm")).tables).toEqual(tablesOf("yum/el8", NEWER, "yum/el8/repodata"));
});

test("who wants to know of a newer table gets the directory's answer of now", async () => {
  const { directory, lookUp, clock } = rig();
  directory.publish("os", "os", TABLE);
  await lookUp("os/a.rpm");
  directory.publish("os", "os", NEWER);
  clock.now += 1;
  expect((await lookUp("os/b.rpm")).tables).toEqual(tablesOf("os", TABLE));
  expect((await lookUp("os/a.rpm", { maxAgeMs: 0 })).tables).toEqual(tablesOf("os", NEWER));
  expect((await lookUp("os/c.rpm")).tables).toEqual(tablesOf("os", NEWER));
});

test("below no repository, and while a table is being built, the answer is of a moment ago: at most one call a second", async () => {
  const { asked, clock, directory, lookUp } = rig();
  for (const path of ["os/a.rpm", "os/b.rpm"]) expect(await lookUp(path)).toMatchObject({ base: null, building: false });
  expect(asked).toEqual(["listings"]);
  directory.building("os", "os");
  clock.now += RECENT_MS;
  expect(await lookUp("os/b.rpm")).toMatchObject({ base: "os", building: true });
  directory.publish("os", "os", TABLE);
  clock.now += RECENT_MS;
  expect(await lookUp("os/c.rpm")).toMatchObject({ building: false, tables: tablesOf("os", TABLE) });
  expect(asked).toEqual(["listings", "listings", "listings"]);
});

test("what a repository announces as it answers for its root is known to the next question, and costs no call where nothing depends on it", async () => {
  const { asked, directory, lookUp, noteAsked } = rig();
  directory.publish("os", "os", TABLE);
  expect(await lookUp("new/a.rpm")).toMatchObject({ base: null });
  directory.building("new", "new");
  noteAsked();
  expect(await lookUp("os/a.rpm")).toMatchObject({ base: "os" });
  expect(asked).toEqual(["listings"]);
  expect(await lookUp("new/a.rpm")).toMatchObject({ base: "new", building: true });
  expect(asked).toEqual(["listings", "listings"]);
});

test("without a TTL, and where a fill waits for a table, nothing is remembered", async () => {
  const { asked, directory, lookUp } = rig(0);
  directory.publish("os", "os", TABLE);
  await lookUp("os/a.rpm");
  await lookUp("os/a.rpm");
  expect(asked).toEqual(["listings", "listings"]);
  const waiting = rig();
  await waiting.lookUp("os/a.rpm", { waitMs: 100 });
  expect(waiting.asked).toEqual(["os/a.rpm"]);
});

test("a directory of too many folders is asked path by path", async () => {
  const { asked, directory, lookUp } = rig();
  for (let n = 0; n <= 500; n++) directory.publish(`repo-${n}`, `repo-${n}`, TABLE);
  expect(await lookUp("repo-7/a.rpm")).toMatchObject({ base: "repo-7", tables: tablesOf("repo-7", TABLE) });
  expect(asked).toEqual(["listings", "repo-7/a.rpm"]);
});

test("folders that an earlier version of this program listed wait for tables that this one can read", async () => {
  const kept = memoryState();
  kept.save("listing:os", JSON.stringify({ table: { version: "0".repeat(32), pages: 1, sliceBytes: 4096 }, buildingSince: null }));
  kept.save("asked:os\nos/a.rpm", "1");
  const directory = createTableDirectory({ kept, timer: () => () => {}, now: () => 1 });
  expect(await directory.lookUp("os/a.rpm", 0)).toMatchObject({ base: "os", tables: [], isLost: true });
  expect(kept.keys()).toEqual(["tables:os"]);
  directory.publish("os", "os", TABLE);
  expect(await directory.lookUp("os/a.rpm", 0)).toMatchObject({ tables: tablesOf("os", TABLE), isLost: false });
  directory.publish("os", "os", null);
  expect(kept.keys()).toEqual([]);
});
