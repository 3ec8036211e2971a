import { withGlobal } from "@sinonjs/fake-timers";
import { installPlatform } from "./platform.ts";

/** The time at which every history begins. */
const EPOCH = Date.UTC(2026, 10, 1, 12);
/** Turns that are given to work without a timer before time goes on. */
const TURNS = 3;
/** A thread of node:zlib that has not answered within so many real milliseconds waits for a reader, which may wait for a timer. */
const THREAD_MS = 100;

export type VirtualTime = ReturnType<typeof installVirtualTime>;

/**
 * Replaces the clock and the timers of this process, and what platform.ts does. Time stands still while anything is being computed, and jumps to the next
 * timer when all waits for one: hours pass in milliseconds, in the same order each time. `uninstall` drops what still waits for a timer.
 */
export function installVirtualTime(seed = 1) {
  const platform = installPlatform(seed);
  const turn = globalThis.setImmediate;
  const realNow = performance.now.bind(performance);
  const clock = withGlobal(globalThis).install({
    now: EPOCH,
    toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"],
    loopLimit: 1_000_000,
  });

  /** Lets everything that waits for no timer run to its end. */
  async function settle(): Promise<void> {
    const until = realNow() + THREAD_MS;
    for (let turns = 0; turns < TURNS; turns++) {
      await new Promise<void>((resolve) => turn(() => resolve()));
      if (platform.isBusy() && realNow() < until) turns = 0;
    }
  }

  /** Runs until `work` has settled, or more than `limitMs` have passed. Throws where nothing would ever go on. */
  async function run<T>(work: Promise<T>, limitMs = 86_400_000): Promise<T> {
    let isSettled = false;
    const settled = work.finally(() => (isSettled = true));
    settled.catch(() => {});
    const until = clock.now + limitMs;
    for (let idle = 0; ;) {
      await settle();
      if (isSettled) return settled;
      if (clock.countTimers() === 0 && ++idle > 100) throw new Error("everything waits, and no timer will end it");
      if (clock.countTimers() === 0) continue;
      idle = 0;
      if (clock.now > until) throw new Error(`not done after ${limitMs / 1000} s`);
      clock.next();
    }
  }

  /** Lets `ms` milliseconds pass, with all that happens in them. */
  async function pass(ms: number): Promise<void> {
    await run(new Promise<void>((resolve) => setTimeout(resolve, ms)), ms + 1);
  }

  function uninstall(): void {
    clock.uninstall();
    platform.uninstall();
  }

  return { run, pass, now: () => clock.now, uninstall };
}
