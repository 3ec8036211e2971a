import { expect, test } from "vitest";
import { createBookReports } from "../../../src/retention/book-reports.ts";
import { emptyDay } from "../../../src/watch/history.ts";

const TOTALS = {} as never;
const requests = (count: number) => [{ ...emptyDay("m", "2026-11-27"), requests: count }];

function createBook({ isSparing }: { readonly isSparing: boolean }) {
  const world = { now: 1e12, isDown: false, calls: [] as { arrived: readonly string[]; requests: number }[] };
  const { report } = createBookReports({
    now: () => world.now,
    isSparing: () => isSparing,
    report(_totals, arrived, days) {
      if (world.isDown) throw new Error("the book restarts");
      world.calls.push({ arrived, requests: days.reduce((sum, day) => sum + day.requests, 0) });
      return { used: world.calls.length, ageFactor: 0 };
    },
  });
  return { world, report };
}

test("while rows are spared, uses go along with what was stored, or half a minute after the last report", async () => {
  const { world, report } = createBook({ isSparing: true });
  await report(TOTALS, [], requests(1));
  for (let n = 0; n < 29; n++) {
    world.now += 1_000;
    expect(await report(TOTALS, [], requests(1))).toEqual({ used: 1, ageFactor: 0 });
  }
  world.now += 1_000;
  expect(await report(TOTALS, [], requests(1))).toEqual({ used: 2, ageFactor: 0 });
  await report(TOTALS, [], requests(1));
  await report(TOTALS, ["m/a.rpm"], requests(1));
  expect(world.calls).toEqual([
    { arrived: [], requests: 1 },
    { arrived: [], requests: 30 },
    { arrived: ["m/a.rpm"], requests: 2 },
  ]);
});

test("each batch is a report where rows are free", async () => {
  const { world, report } = createBook({ isSparing: false });
  for (let n = 0; n < 3; n++) await report(TOTALS, [], requests(1));
  expect(world.calls).toHaveLength(3);
});

test("what waits is counted once where the book cannot be reached: the batch that failed comes again", async () => {
  const { world, report } = createBook({ isSparing: true });
  await report(TOTALS, [], requests(1));
  await report(TOTALS, [], requests(10));
  world.isDown = true;
  await expect(report(TOTALS, ["m/a.rpm"], requests(100))).rejects.toThrow("restarts");
  world.isDown = false;
  await report(TOTALS, ["m/a.rpm"], requests(100));
  expect(world.calls.map((call) => call.requests)).toEqual([1, 110]);
});
