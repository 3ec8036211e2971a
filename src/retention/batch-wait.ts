import { elapsedMs } from "../clock/elapsed.ts";

/** A request looks this often whether the batch is due … */
const LOOK_MS = 7_000;
/** … and so many times: Cloudflare ends what a request waits for 30 s after its response. */
const LOOKS = 4;
/** A batch is due when nothing has come for so long: the isolate may end. */
const QUIET_MS = 20_000;
/** Another request begins to look after so long, so that one of them looks `QUIET_MS` after the last entry. */
const NEXT_MS = LOOKS * LOOK_MS - QUIET_MS;

/** What `createBatchWait` works with. Times are milliseconds. */
export interface BatchWaitDependencies {
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  /** Keeps the isolate alive until `work` has settled, also after the current request has ended. */
  readonly waitUntil: (work: Promise<unknown>) => void;
  /** How long a batch waits while requests come; 0: until the first look. */
  readonly maxWaitMs: () => number;
  /** Sends the batch. It must call `sent`, and never reject. */
  readonly flush: () => Promise<void>;
  /** Sends what must not wait; called at each look at which the batch is not due. Never rejects. */
  readonly flushNews: () => Promise<void>;
}

/**
 * Has an isolate's batch sent in time, though no timer outlives its request for long: requests take turns to look after it. What came last is sent at the
 * latest `maxWaitMs` and a look later, as long as the platform lets the requests wait.
 */
export function createBatchWait({ now, sleep, waitUntil, maxWaitMs, flush, flushNews }: BatchWaitDependencies) {
  /** When the oldest entry of the batch came, and the latest one; 0: the batch is empty. */
  let since = 0;
  let latest = 0;
  /** When a request last began to look. */
  let armedAt = 0;

  async function look(): Promise<void> {
    for (let looks = 0; looks < LOOKS; looks++) {
      await sleep(LOOK_MS);
      if (elapsedMs(since, now()) >= maxWaitMs() || elapsedMs(latest, now()) >= QUIET_MS) return flush();
      await flushNews();
    }
  }

  return {
    /** Something came into the batch. */
    arm(): void {
      since ||= now();
      latest = now();
      if (elapsedMs(armedAt, now()) < NEXT_MS) return;
      armedAt = now();
      waitUntil(look());
    },
    /** The batch is empty. */
    sent(): void {
      since = 0;
      armedAt = 0;
    },
  };
}
