export type Signal = ReturnType<typeof createSignal>;

/**
 * Wakes all waiters, across the requests of one isolate. Each wait has a limit: a request that waits only for another request's promise has no I/O
 * of its own, and the runtime would end it as hung. The timer of the limit is that I/O.
 */
export function createSignal() {
  let wakers: (() => void)[] = [];
  return {
    notify(): void {
      const woken = wakers;
      wakers = [];
      for (const wake of woken) wake();
    },
    /** Resolves at the next `notify`, or after `limitMs`. */
    async wait(limitMs: number): Promise<void> {
      let timer: ReturnType<typeof setTimeout> | undefined;
      await new Promise<void>((resolve) => {
        timer = setTimeout(resolve, limitMs);
        wakers.push(resolve);
      });
      // Not in the waker: it runs in another request, where this number may be another timer's.
      clearTimeout(timer);
    },
  };
}
