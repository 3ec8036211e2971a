import { expect, test } from "vitest";
import { createSlots } from "../../../src/upstream/slots.ts";

const MAX = 16;
const MAX_OF_FILE = 4;

type Slot = Awaited<ReturnType<ReturnType<typeof createSlots>["take"]>>;

interface Timed {
  readonly slots: ReturnType<typeof createSlots>;
  readonly clock: { now: number };
  /** Bodies that bring bytes all the time. */
  readonly quick: Slot[];
}

function timed(): Timed {
  const clock = { now: 0 };
  const quick: Slot[] = [];
  const after = (ms: number, run: () => void): (() => void) => {
    clock.now += ms;
    for (const slot of quick) slot.touch(1_000 * ms);
    queueMicrotask(run);
    return () => {};
  };
  return { slots: createSlots(() => clock.now, after), clock, quick };
}

test("sixteen bodies of one upstream go at once, the next waits a while and then goes all the same", async () => {
  const { slots, clock, quick } = timed();
  for (let body = 0; body < MAX; body++) quick.push(await slots.take("a", `file-${body}`));
  expect(clock.now).toBe(0);
  expect([slots.isFull("a"), slots.isFull("b")]).toEqual([true, false]);
  await slots.take("a", "other");
  expect(clock.now).toBe(2_000);
  expect(slots.count("a")).toBe(MAX + 1);
});

test("a fifth body of one file waits, and one of another file does not, however many bodies the first has", async () => {
  const { slots, clock, quick } = timed();
  for (let body = 0; body < MAX_OF_FILE; body++) quick.push(await slots.take("a", "hot"));
  expect(clock.now).toBe(0);
  for (let body = MAX_OF_FILE; body < MAX + MAX_OF_FILE; body++) quick.push(await slots.take("a", "hot"));
  expect(clock.now).toBe(2_000 * MAX);
  expect(slots.isFull("a")).toBe(false);
  await slots.take("a", "other");
  expect(clock.now).toBe(2_000 * MAX);
});

test("bodies that bring next to nothing keep no other waiting for longer than a second", async () => {
  const { slots, clock } = timed();
  const slow: Slot[] = [];
  for (let body = 0; body < MAX; body++) slow.push(await slots.take("a", `file-${body}`));
  await slots.take("a", "other");
  expect(clock.now).toBe(1_000);
  clock.now += 10_000;
  for (const slot of slow) slot.touch(10_000);
  await slots.take("a", "another");
  expect(clock.now).toBe(11_000);
  // As soon as bytes come again, they count again.
  clock.now += 1_000;
  for (const slot of slow) slot.touch(1_000_000);
  expect(slots.isFull("a")).toBe(true);
});

test("a released slot is free at once, released twice it frees no other", async () => {
  const { slots } = timed();
  const [one] = await Promise.all([slots.take("a", "x"), slots.take("a", "x")]);
  one.release();
  one.touch(1);
  one.release();
  expect(slots.count("a")).toBe(1);
});

test("a slot of a request that the runtime ended is free after a minute; a touched one is kept", async () => {
  const { slots, clock } = timed();
  await slots.take("a", "x");
  const used = await slots.take("a", "y");
  clock.now = 50_000;
  used.touch(1);
  clock.now = 70_000;
  expect(slots.count("a")).toBe(1);
});
