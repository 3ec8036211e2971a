import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { sweepStore } from "../../../../src/local/server/sweep-store.ts";

let store: string;
beforeEach(() => {
  store = mkdtempSync(join(tmpdir(), "lazy-mirror-sweep-"));
});
afterEach(() => rmSync(store, { recursive: true }));

const NEVER = new AbortController().signal;
const AT_ONCE = async (): Promise<void> => {};

describe("the sweep of the store", () => {
  test("removes what a killed server left unfinished and bodies without metadata, and nothing else", async () => {
    const kept = ["objects/m/a.deb", "meta/m/a.deb.json", "meta/m/x.tmp", "meta/m/of-no-body.json", "slices/ab/abc/0"];
    const left = ["objects/m/.a.deb.4711.3.tmp", "slices/ab/abc/.0.4711.12.tmp", ".x.1.1.tmp", "objects/m/pool/b.deb", "objects/c.deb"];
    for (const path of [...kept, ...left]) place(path);
    expect(await sweepStore(store, NEVER, AT_ONCE)).toBe(left.length);
    for (const path of kept) expect(existsSync(join(store, path))).toBe(true);
    for (const path of left) expect(existsSync(join(store, path))).toBe(false);
  });

  test("leaves a file that a write finished, replaced or removed between its two looks", async () => {
    for (const path of ["objects/m/finished", "objects/m/replaced", "objects/m/.growing.1.1.tmp", "objects/m/removed", "objects/m/left"])
      place(path);
    const { looked, lookAgain } = sweepInTwoLooks();
    await looked;
    place("meta/m/finished.json");
    place("objects/m/new");
    renameSync(join(store, "objects/m/new"), join(store, "objects/m/replaced"));
    // The disk's dates are not those of the next tick before that has come.
    await sleep(20);
    writeFileSync(join(store, "objects/m/.growing.1.1.tmp"), "more");
    rmSync(join(store, "objects/m/removed"));
    expect(await lookAgain()).toBe(1);
    expect(readdirSync(join(store, "objects/m")).toSorted()).toEqual([".growing.1.1.tmp", "finished", "replaced"]);
  });

  test("ends without a second look when the server ends, and finds the same at the next start", async () => {
    place("objects/m/left");
    const ending = new AbortController();
    expect(await sweepStore(store, ending.signal, async () => ending.abort())).toBe(0);
    expect(await sweepStore(store, NEVER, AT_ONCE)).toBe(1);
  });

  test("finds nothing in a store that is not there", async () => {
    expect(await sweepStore(join(store, "none"), NEVER, AT_ONCE)).toBe(0);
  });
});

/** A sweep that waits with its second look for the test. */
function sweepInTwoLooks() {
  let again = (): void => {};
  const waiting = new Promise<void>((resolve) => (again = resolve));
  let first = (): void => {};
  const looked = new Promise<void>((resolve) => (first = resolve));
  const settle = async (): Promise<void> => {
    first();
    await waiting;
  };
  const swept = sweepStore(store, NEVER, settle);
  return { looked, lookAgain: async () => (again(), swept) };
}

function place(path: string): void {
  mkdirSync(dirname(join(store, path)), { recursive: true });
  writeFileSync(join(store, path), "bytes");
}
