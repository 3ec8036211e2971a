import type { Timer } from "../../upstream/timer.ts";

/** Resolves once `ms` milliseconds have passed. */
export function pause(timer: Timer, ms: number): Promise<void> {
  return new Promise((resolve) => timer(ms, resolve));
}

/** What `running` resolves with, or null if that takes longer than `ms` milliseconds: `running` then goes on. Rejects when `running` does. */
export function within<T>(timer: Timer, ms: number, running: Promise<T>): Promise<T | null> {
  return new Promise((resolve, reject) => {
    const cancel = timer(ms, () => resolve(null));
    running.then(resolve, reject).finally(cancel);
  });
}

export interface TimeLimit {
  /** Resolves when the time is up; never, once the limit is cancelled. */
  readonly ended: Promise<void>;
  readonly cancel: () => void;
}

/** A limit of `ms` milliseconds from now on. */
export function startTimeLimit(timer: Timer, ms: number): TimeLimit {
  let cancel = (): void => {};
  const ended = new Promise<void>((resolve) => (cancel = timer(ms, resolve)));
  return { ended, cancel };
}
