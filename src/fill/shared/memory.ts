export type Memory = ReturnType<typeof createMemory>;

/** @internal */
export const MEMORY_WAIT_MS = 15_000;
const POLL_MS = 50;
/** Buffers kept for the next slice: the collector frees large ones late, so a long fill would hold far more than it uses. */
const SPARES = 3;
/** Smaller buffers are not kept. */
const SPARE_BYTES = 1024 * 1024;

/**
 * Bytes that the fills of this isolate may hold at once. A caller that waited too long is refused: an isolate that runs out of memory ends every
 * request in it, so one more fill is worth less than the others.
 */
export function createMemory(limitBytes: number, sleep: (ms: number) => Promise<void>) {
  const spares: Uint8Array<ArrayBuffer>[] = [];
  const reclaimers: (() => void)[] = [];
  let used = 0;
  return {
    get used() {
      return used;
    },
    /** Has `reclaim` called whenever room is short: it frees bytes that are only kept for speed. */
    onShortage: (reclaim: () => void): void => void reclaimers.push(reclaim),
    /** Room for `length` bytes, not zeroed; null when none became free within `MEMORY_WAIT_MS`. */
    async take(length: number) {
      // Polling, not a queue: each request must wait on a timer of its own (see signal.ts), and waits are rare.
      for (let waited = 0; used > 0 && used + length > limitBytes; waited += POLL_MS) {
        for (const reclaim of reclaimers) reclaim();
        if (used === 0 || used + length <= limitBytes) break;
        if (waited >= MEMORY_WAIT_MS) return null;
        await sleep(POLL_MS);
      }
      used += length;
      const spare = spares.findIndex((candidate) => candidate.length === length);
      const bytes = spares.splice(spare, spare < 0 ? 0 : 1)[0] ?? new Uint8Array(length);
      let held = true;
      return {
        bytes,
        /** Gives the room back; only the first call counts. `reusable`: no reader and no store write uses the bytes any more. */
        free(reusable: boolean): void {
          if (!held) return;
          held = false;
          used -= length;
          if (!reusable || length < SPARE_BYTES) return;
          spares.unshift(bytes);
          spares.length = Math.min(spares.length, SPARES);
        },
      };
    },
  };
}
