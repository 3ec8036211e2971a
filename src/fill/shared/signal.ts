/**
 * Wakes all who wait, across requests of one isolate. Waiting always has a limit: a request that waits only for another request's promise
 * has no I/O of its own, and the runtime would end it as hung; the timer is that I/O as well as the limit.
 */
export interface Signal {
  notify(): void;
  /** Resolves at the next `notify`, or after `limitMs`. */
  wait(limitMs: number): Promise<void>;
}

export function createSignal(): Signal {
  let wakers: (() => void)[] = [];
  return {
    notify() {
      const woken = wakers;
      wakers = [];
      for (const wake of woken) wake();
    },
    async wait(limitMs) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      await new Promise<void>((resolve) => {
        timer = setTimeout(resolve, limitMs);
        wakers.push(resolve);
      });
      // Here, not in the waker: that runs in another request, where the timer's number may be another timer's.
      clearTimeout(timer);
    },
  };
}
