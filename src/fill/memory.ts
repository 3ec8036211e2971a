/**
 * Bytes that the fills of this isolate may hold at once. Waiting has a limit, after which the caller is refused: an isolate that is out of
 * memory ends every request in it, so one more fill is worth less than the others.
 */
export interface Memory {
  /** Takes `bytes`; the result gives them back (once; later calls do nothing). Null when they did not become free within the limit. */
  take(bytes: number): Promise<(() => void) | null>;
  readonly used: number;
}

export const MEMORY_WAIT_MS = 15_000;
const POLL_MS = 50;

export function createMemory(limitBytes: number, sleep: (ms: number) => Promise<void>): Memory {
  let used = 0;
  return {
    get used() {
      return used;
    },
    async take(bytes) {
      // Polling, not a queue: whoever waits does so on a timer of its own request (see signal.ts), and waiting is rare.
      for (let waited = 0; used > 0 && used + bytes > limitBytes; waited += POLL_MS) {
        if (waited >= MEMORY_WAIT_MS) return null;
        await sleep(POLL_MS);
      }
      used += bytes;
      let held = true;
      return () => {
        if (held) used -= bytes;
        held = false;
      };
    },
  };
}
