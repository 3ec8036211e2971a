import { expect, test } from "vitest";
import { batchLines } from "../../../src/watch/batch-lines.ts";

function rig() {
  const written: string[] = [];
  const wakers: (() => void)[] = [];
  const clock = { now: 1_000_000 };
  const line = batchLines({
    write: (lines) => written.push(lines),
    now: () => clock.now,
    sleep: () => new Promise((resolve) => wakers.push(resolve)),
    waitUntil: () => {},
  });
  return { written, wakers, clock, line };
}

test("lines go out together, in order, when the first has waited long enough", async () => {
  const { written, wakers, line } = rig();
  line("a");
  line("b");
  expect(written).toEqual([]);
  expect(wakers).toHaveLength(1);
  wakers[0]?.();
  await expect.poll(() => written).toEqual(["a\nb"]);
  line("c");
  expect(wakers).toHaveLength(2);
});

test("many lines do not wait", () => {
  const { written, line } = rig();
  for (let count = 0; count < 64; count++) line(String(count));
  expect(written.map((lines) => lines.split("\n").length)).toEqual([64]);
});

test("a wait that died with its request is begun again by a later one", async () => {
  const { written, wakers, clock, line } = rig();
  line("a");
  clock.now += 1_000;
  line("b");
  wakers[1]?.();
  await expect.poll(() => written).toEqual(["a\nb"]);
});
