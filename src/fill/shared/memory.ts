export type Memory = ReturnType<typeof createMemory>;

/** @internal */
export const MEMORY_WAIT_MS = 15_000;
const POLL_MS = 50;
/**
 * The share that unstored fills may hold together: their buffers stay until their clients have read them, where those of other fills go as soon as the store
 * has them. So clients that do not read keep no file from being fetched and stored.
 */
const UNSTORED_SHARE = 0.5;
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
  const rooms = new Set<{ readonly length: number; readonly isUnstored: () => boolean }>();
  let used = 0;

  function hasRoom(length: number, isUnstored: () => boolean): boolean {
    if (used > 0 && used + length > limitBytes) return false;
    if (!isUnstored()) return true;
    // Summed up anew, since a fill may turn out not to be stored after it has taken its room.
    const unstored = [...rooms].reduce((sum, room) => (room.isUnstored() ? sum + room.length : sum), 0);
    return unstored === 0 || unstored + length <= limitBytes * UNSTORED_SHARE;
  }

  return {
    get used() {
      return used;
    },
    /** Has `reclaim` called whenever room is short, before and while a caller waits: it frees bytes that can be done without. */
    onShortage: (reclaim: () => void): void => void reclaimers.push(reclaim),
    /**
     * Room for `length` bytes, not zeroed; null when none became free within `MEMORY_WAIT_MS`. `isUnstored`: whether the fill that takes it is not (or no
     * longer) stored.
     */
    async take(length: number, isUnstored: () => boolean = () => false) {
      // Polling, not a queue: each request must wait on a timer of its own (see clock/signal.ts), and waits are rare.
      for (let waited = 0; !hasRoom(length, isUnstored); waited += POLL_MS) {
        for (const reclaim of reclaimers) reclaim();
        if (hasRoom(length, isUnstored)) break;
        if (waited >= MEMORY_WAIT_MS) return null;
        await sleep(POLL_MS);
      }
      used += length;
      const room = { length, isUnstored };
      rooms.add(room);
      const spare = spares.findIndex((candidate) => candidate.length === length);
      const bytes = spares.splice(spare, spare < 0 ? 0 : 1)[0] ?? new Uint8Array(length);
      let held = true;
      return {
        bytes,
        /** Gives the room back; only the first call counts. `reusable`: no reader and no store write uses the bytes any more. */
        free(reusable: boolean): void {
          if (!held) return;
          held = false;
          rooms.delete(room);
          used -= length;
          if (!reusable || length < SPARE_BYTES) return;
          spares.unshift(bytes);
          spares.length = Math.min(spares.length, SPARES);
        },
      };
    },
  };
}
