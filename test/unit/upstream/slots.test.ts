import { expect, test } from "vitest";
import { createSlots } from "../../../src/upstream/slots.ts";

const MAX = 16;

function timed(): { readonly slots: ReturnType<typeof createSlots>; readonly clock: { now: number } } {
  const clock = { now: 0 };
  const after = (ms: number, run: () => void): (() => void) => {
    clock.now += ms;
    queueMicrotask(run);
    return () => {};
  };
  return { slots: createSlots(() => clock.now, after), clock };
}

test("sixteen bodies of one upstream go at once, the next waits a while and then goes all the same", async () => {
  const { slots, clock } = timed();
  for (let body = 0; body < MAX; body++) await slots.take("a");
  expect(clock.now).toBe(0);
  expect([slots.isFull("a"), slots.isFull("b")]).toEqual([true, false]);
  await slots.take("a");
  expect(clock.now).toBe(2_000);
  expect(slots.count("a")).toBe(MAX + 1);
});

test("a released slot is free at once, released twice it frees no other", async () => {
  const { slots } = timed();
  const [one] = await Promise.all([slots.take("a"), slots.take("a")]);
  one.release();
  one.touch();
  one.release();
  expect(slots.count("a")).toBe(1);
});

test("a slot of a request that the runtime ended is free after a minute; a touched one is kept", async () => {
  const { slots, clock } = timed();
  await slots.take("a");
  const used = await slots.take("a");
  clock.now = 50_000;
  used.touch();
  clock.now = 70_000;
  expect(slots.count("a")).toBe(1);
});
