import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { sleep, within } from "../../../src/clock/timer.ts";

const LATE = () => "late" as const;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("what settles within the limit is the answer, and no timer is left", async () => {
  expect(await within(Promise.resolve(1), 100, LATE)).toBe(1);
  await expect(within(Promise.reject(new Error("refused")), 100, LATE)).rejects.toThrow("refused");
  expect(vi.getTimerCount()).toBe(0);
});

test("what takes longer is answered by `late`, and goes on", async () => {
  const running = sleep(200).then(() => "done");
  const answer = within(running, 100, LATE);
  await vi.advanceTimersByTimeAsync(100);
  expect(await answer).toBe("late");
  await vi.advanceTimersByTimeAsync(100);
  expect(await running).toBe("done");
});

test("what `late` throws rejects the answer, and a later failure is not unhandled", async () => {
  const running = sleep(200).then(() => Promise.reject(new Error("failed late")));
  const answer = within(running, 100, () => {
    throw new Error("no answer within 100 ms");
  });
  const refused = answer.then(
    () => "answered",
    (error: unknown) => String(error),
  );
  await vi.advanceTimersByTimeAsync(300);
  expect(await refused).toContain("no answer within 100 ms");
});
