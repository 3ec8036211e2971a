import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createSignal } from "../../../../src/fill/shared/signal.ts";

describe("a signal", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("wakes all who wait, at once, and leaves no timer behind", async () => {
    const signal = createSignal();
    const waits = [signal.wait(10_000), signal.wait(20_000)];
    signal.notify();
    await Promise.all(waits);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("wakes no waiter that begins after it", async () => {
    const signal = createSignal();
    signal.notify();
    let woken = false;
    const wait = signal.wait(1_000).then(() => (woken = true));
    await vi.advanceTimersByTimeAsync(999);
    expect(woken).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    await wait;
    expect(woken).toBe(true);
  });

  it("may be given by one whom it woke", async () => {
    const signal = createSignal();
    let rounds = 0;
    const first = signal.wait(1_000).then(() => {
      rounds++;
      signal.notify();
    });
    signal.notify();
    await first;
    expect(rounds).toBe(1);
  });
});
