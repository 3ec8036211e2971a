import { withGlobal } from "@sinonjs/fake-timers";

/** The time at which every history begins. */
const EPOCH = Date.UTC(2026, 10, 1, 12);

export type VirtualTime = ReturnType<typeof installVirtualTime>;

/**
 * Replaces the clock and the timers of this process. Time stands still while anything is being computed, and jumps to the next timer when all waits for
 * one: hours pass in milliseconds, in the same order each time. All that runs must work in the process's own turns: see platform.ts.
 */
export function installVirtualTime() {
  const turn = globalThis.setImmediate;
  const clock = withGlobal(globalThis).install({
    now: EPOCH,
    toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"],
    loopLimit: 1_000_000,
  });

  /** Lets everything that waits for no timer run to its end. */
  async function settle(): Promise<void> {
    for (let turns = 0; turns < 3; turns++) await new Promise<void>((resolve) => turn(() => resolve()));
  }

  /** Runs until `work` has settled, or more than `limitMs` have passed. Throws where nothing would ever go on. */
  async function run<T>(work: Promise<T>, limitMs = 86_400_000): Promise<T> {
    let isSettled = false;
    const settled = work.finally(() => (isSettled = true));
    settled.catch(() => {});
    const until = clock.now + limitMs;
    let idle = 0;
    for (;;) {
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

  return { run, pass, settle, now: () => clock.now, uninstall: () => clock.uninstall() };
}
