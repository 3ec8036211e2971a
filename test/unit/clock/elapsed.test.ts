import { expect, test } from "vitest";
import { elapsedMs, isAhead, restartIfAhead } from "../../../src/clock/elapsed.ts";

const NOW = Date.UTC(2026, 0, 1);

test("a time ahead of the clock is long ago, or begins anew", () => {
  const ahead = NOW + 86_400_000;
  expect([isAhead(ahead, NOW), elapsedMs(ahead, NOW), restartIfAhead(ahead, NOW)]).toEqual([true, Infinity, NOW]);
});

test("a time before it is taken as it is, and so is one of another machine whose clock is a little ahead", () => {
  for (const time of [NOW - 5_000, NOW, NOW + 5_000]) {
    expect([isAhead(time, NOW), elapsedMs(time, NOW), restartIfAhead(time, NOW)]).toEqual([false, NOW - time, time]);
  }
});

test("never is longer ago than anything", () => {
  expect(elapsedMs(-Infinity, NOW)).toBe(Infinity);
});
