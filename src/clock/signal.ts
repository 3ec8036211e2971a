import { AsyncLocalStorage } from "node:async_hooks";
import { systemTimer, type Timer } from "./timer.ts";

/** Whose work runs just now: an object for each request; undefined outside of one. */
const requests = new AsyncLocalStorage<object>();

/**
 * Runs `work`, and all that it begins, as one request: signals that it gives wake its own waits at once. `request`: an object that stands for it, where it comes in
 * several calls, as those of one Durable Object do, which share its streams and timers.
 */
export function asRequest<T>(work: () => T, request: object = {}): T {
  return requests.run(request, work);
}

/**
 * How often a waiter looks whether another request has notified it, in milliseconds: twice as long after each look, from the first to the last of these. A
 * body that flows is looked for every few milliseconds, one that stands still costs a timer now and then.
 */
const [FIRST_LOOK_MS, LAST_LOOK_MS] = [2, 16];

export type Signal = ReturnType<typeof createSignal>;

interface Waiter {
  readonly request: object | undefined;
  isNotified: boolean;
  /** Ends the look under way. */
  wake(): void;
}

/**
 * Wakes all waiters, across the requests of one isolate. A waiter of another request than the notifier's is never woken by a promise that the notifier
 * settles: what runs behind such a promise runs, on a busy machine, in the other request, where workerd refuses its streams ("Cannot perform I/O on behalf of a
 * different request"), from then on in each request. It looks by timers of its own, which also keep the runtime from ending it as hung.
 */
export function createSignal(timer: Timer = systemTimer) {
  let waiters: Waiter[] = [];
  return {
    notify(): void {
      const notified = waiters;
      waiters = [];
      const request = requests.getStore();
      for (const waiter of notified) {
        waiter.isNotified = true;
        if (request !== undefined && waiter.request === request) waiter.wake();
      }
    },
    /** Resolves at the next `notify` of the same request, some milliseconds after that of another, or after `limitMs`. */
    async wait(limitMs: number): Promise<void> {
      const waiter: Waiter = { request: requests.getStore(), isNotified: false, wake() {} };
      waiters.push(waiter);
      let lookMs = FIRST_LOOK_MS;
      for (let leftMs = limitMs; leftMs > 0 && !waiter.isNotified; lookMs = Math.min(2 * lookMs, LAST_LOOK_MS)) {
        await look(waiter, Math.min(lookMs, leftMs), timer);
        leftMs -= lookMs;
      }
      waiters = waiters.filter((one) => one !== waiter);
    },
  };
}

/** Resolves after `ms`, or when the waiter is woken. */
async function look(waiter: Waiter, ms: number, timer: Timer): Promise<void> {
  let cancel = (): void => {};
  await new Promise<void>((resolve) => {
    cancel = timer(ms, resolve);
    waiter.wake = resolve;
  });
  cancel();
}
