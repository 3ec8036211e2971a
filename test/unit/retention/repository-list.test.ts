import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { createLedger } from "../../../src/retention/ledger.ts";
import { createRepositoryList, retireUnused } from "../../../src/retention/repository-list.ts";
import { createMemorySql } from "../../support/memory-sql.ts";

const DAY = 86_400_000;

function setUp() {
  const sql = createMemorySql(new DatabaseSync(":memory:"));
  const ledger = createLedger(sql);
  const clock = { now: 1_000 * DAY };
  const open = () => createRepositoryList(sql, ledger.notes, () => clock.now);
  return { ledger, clock, open };
}

test("a repository is known from its first generation until it is removed, and use keeps it", () => {
  const { clock, open } = setUp();
  const list = open();
  expect(list.use("m/os")).toBe(false);
  list.note("m/os");
  list.note("m/");
  clock.now += DAY;
  expect(list.use("m/os")).toBe(true);
  expect(list.unused(clock.now - DAY)).toEqual(["m/"]);
  expect(list.view()).toEqual({
    counts: [{ mirror: "m", repositories: 2 }],
    latest: [
      { name: "m/os", usedAt: clock.now },
      { name: "m/", usedAt: clock.now - DAY },
    ],
  });
  list.remove("m/os");
  expect(list.use("m/os")).toBe(false);
});

test("what earlier versions published is in the list, and counts as used at the update", () => {
  const { ledger, clock, open } = setUp();
  ledger.name("m/os", [
    ["-/sha256/a", null],
    ["-/sha256/b", null],
  ]);
  const list = open();
  expect(list.use("m/os")).toBe(true);
  expect(list.unused(clock.now - DAY)).toEqual([]);
  list.remove("m/os");
  expect(open().use("m/os")).toBe(false);
});

test("a use that a wrong clock dated ahead ends as well", () => {
  const { clock, open } = setUp();
  const list = open();
  list.note("m/os");
  clock.now -= 500 * DAY;
  expect(list.unused(clock.now - DAY)).toEqual([]);
  clock.now += 2 * DAY;
  expect(list.unused(clock.now - DAY)).toEqual(["m/os"]);
});

test("one that cannot be reached is retired in the next run, and holds up no other", async () => {
  const { clock, open } = setUp();
  const list = open();
  for (const name of ["m/a", "m/b", "m/c"]) list.note(name);
  clock.now += 90 * DAY;
  list.note("m/c");
  const forgotten: string[] = [];
  const log: string[] = [];
  let isAway = true;
  const run = () =>
    retireUnused(list, {
      before: clock.now - 90 * DAY,
      retire: async (name) => {
        if (name === "m/a" && isAway) throw new Error("restarts");
        return [`root of ${name}`];
      },
      forget: (name, roots) => {
        forgotten.push(...roots);
        list.remove(name);
      },
      log: (message) => log.push(message),
    });
  await run();
  expect(forgotten).toEqual(["root of m/b"]);
  expect(log.join("\n")).toMatch(/Cannot forget the repository m\/a.*restarts/);
  isAway = false;
  await run();
  expect(forgotten).toEqual(["root of m/b", "root of m/a"]);
  expect(list.view().latest.map(({ name }) => name)).toEqual(["m/c"]);
});
