/** Calls `run` once after `ms` milliseconds, unless the returned function is called before. */
export type Timer = (ms: number, run: () => void) => () => void;

/** The platform's own timer. In workerd it belongs to the request that starts it. */
export const systemTimer: Timer = (ms, run) => {
  const id = setTimeout(run, ms);
  return () => clearTimeout(id);
};

/** Resolves after `ms` milliseconds. */
export function sleep(ms: number, timer: Timer = systemTimer): Promise<void> {
  return new Promise((resolve) => timer(ms, resolve));
}

/** Lets other requests run between two turns of a long work. */
export function breathe(): Promise<void> {
  return sleep(0);
}

/**
 * Settles as `running` does; where that takes longer than `ms` milliseconds, with what `late` returns or throws. `running` then goes on, and its
 * rejection is no unhandled one.
 */
export async function within<T, L>(running: Promise<T>, ms: number, late: () => L, timer: Timer = systemTimer): Promise<T | L> {
  let cancel = (): void => {};
  const limit = new Promise<L>((resolve) => {
    // `late` runs inside a promise: what it throws would otherwise be the timer's error.
    cancel = timer(ms, () => resolve(new Promise<L>((done) => done(late()))));
  });
  try {
    return await Promise.race([running, limit]);
  } finally {
    cancel();
  }
}
