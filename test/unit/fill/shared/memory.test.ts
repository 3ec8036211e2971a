import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createMemory, MEMORY_WAIT_MS } from "../../../../src/fill/shared/memory.ts";

const MIB = 1_048_576;

/** Time that only passes in `sleep`. */
function createClock() {
  let slept = 0;
  return { sleep: async (ms: number) => void (slept += ms), slept: () => slept };
}

describe("the memory of fills", () => {
  it("never gives more than its limit at once, but always one, and takes back all", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ length: fc.integer({ min: 1, max: 40 }), isFreed: fc.boolean() }), { maxLength: 30 }),
        async (steps) => {
          const memory = createMemory(50, async () => {});
          const rooms: { length: number; free: () => void }[] = [];
          for (const { length, isFreed } of steps) {
            const room = await memory.take(length);
            if (room !== null) rooms.push({ length, free: () => room.free(true) });
            if (isFreed) rooms.shift()?.free();
            const held = rooms.reduce((sum, one) => sum + one.length, 0);
            expect(memory.used).toBe(held);
            if (rooms.length > 1) expect(held).toBeLessThanOrEqual(50);
          }
          for (const { free } of rooms) {
            free();
            free();
          }
          expect(memory.used).toBe(0);
        },
      ),
    );
  });

  it("gives one room that is larger than all of it, rather than none for ever", async () => {
    expect((await createMemory(10, async () => {}).take(20))?.bytes.length).toBe(20);
  });

  it("refuses after its limit of waiting", async () => {
    const clock = createClock();
    const memory = createMemory(10, clock.sleep);
    await memory.take(10);
    expect(await memory.take(1)).toBeNull();
    expect(clock.slept()).toBe(MEMORY_WAIT_MS);
  });

  it("goes on as soon as room is given back", async () => {
    const holder: { free?: () => void } = {};
    const memory = createMemory(10, async () => holder.free?.());
    const first = await memory.take(10);
    holder.free = () => first?.free(false);
    expect(await memory.take(5)).not.toBeNull();
    expect(memory.used).toBe(5);
  });

  it("asks for what is kept only for speed before anyone waits", async () => {
    const clock = createClock();
    const memory = createMemory(10, clock.sleep);
    const kept = await memory.take(10);
    memory.onShortage(() => kept?.free(true));
    expect(await memory.take(8)).not.toBeNull();
    expect(clock.slept()).toBe(0);
  });

  it("gives half of itself to fills that are not stored, also to those that turn out so later, and the other half to others", async () => {
    const memory = createMemory(100, async () => {});
    let isStored = true;
    await memory.take(30, () => true);
    await memory.take(15, () => !isStored);
    const other = await memory.take(20, () => true);
    expect(other).not.toBeNull();
    isStored = false;
    expect(await memory.take(1, () => true)).toBeNull();
    expect(await memory.take(35)).not.toBeNull();
    other?.free(true);
    expect(await memory.take(5, () => true)).not.toBeNull();
  });

  it("gives one room to a fill that is not stored, however large", async () => {
    const memory = createMemory(100, async () => {});
    expect(await memory.take(80, () => true)).not.toBeNull();
    expect(await memory.take(1, () => true)).toBeNull();
  });

  it("reuses the bytes of a large room only where no reader can still use them", async () => {
    const memory = createMemory(20 * MIB, async () => {});
    const first = await memory.take(2 * MIB);
    first?.free(false);
    const second = await memory.take(2 * MIB);
    expect(second?.bytes).not.toBe(first?.bytes);
    second?.free(true);
    const third = await memory.take(2 * MIB);
    expect(third?.bytes).toBe(second?.bytes);
    // Once in use it is not given out again.
    expect((await memory.take(2 * MIB))?.bytes).not.toBe(third?.bytes);
  });
});
