import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { asRequest, createSignal } from "../../../src/clock/signal.ts";
import { systemTimer, type Timer } from "../../../src/clock/timer.ts";

/** Timers of this file that wait: those of other files, which share the process, do not count. */
let timers = 0;
const counted: Timer = (ms, run) => {
  timers++;
  let isOver = false;
  const end = (): void => void (isOver ||= (timers--, true));
  const cancel = systemTimer(ms, () => {
    end();
    run();
  });
  return () => {
    end();
    cancel();
  };
};

describe("a signal", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("wakes all waits of its own request, at once, and leaves no timer behind", async () => {
    const signal = createSignal(counted);
    await asRequest(async () => {
      const waits = [signal.wait(10_000), signal.wait(20_000)];
      signal.notify();
      await Promise.all(waits);
    });
    expect(timers).toBe(0);
  });

  it("wakes all waits of its own request after many looks as well", async () => {
    const signal = createSignal(counted);
    await asRequest(async () => {
      const wait = signal.wait(10_000);
      await vi.advanceTimersByTimeAsync(777);
      signal.notify();
      await wait;
    });
    expect(timers).toBe(0);
  });

  it.each<[string, (work: () => Promise<void>) => Promise<void>]>([
    ["another request", (work) => asRequest(work)],
    ["no request", (work) => work()],
  ])("that is given in a request never resumes a wait of %s: that one looks by its own timers", async (_, waiting) => {
    const signal = createSignal(counted);
    let woken = false;
    const waits = waiting(async () => {
      await signal.wait(10_000);
      woken = true;
    });
    await vi.advanceTimersByTimeAsync(100);
    asRequest(signal.notify);
    await vi.advanceTimersByTimeAsync(0);
    expect(woken).toBe(false);
    await vi.advanceTimersByTimeAsync(16);
    await waits;
    expect(timers).toBe(0);
  });

  it("wakes no waiter that begins after it", async () => {
    const signal = createSignal(counted);
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
    const signal = createSignal(counted);
    let rounds = 0;
    await asRequest(async () => {
      const first = signal.wait(1_000).then(() => {
        rounds++;
        signal.notify();
      });
      signal.notify();
      await first;
    });
    expect(rounds).toBe(1);
  });
});
