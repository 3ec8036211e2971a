import { elapsedMs } from "../clock/elapsed.ts";
import type { Known } from "./disk-memory.ts";

/** Longer bodies go from the disk to the client faster than from here. */
const MAX_BODY_BYTES = 1024 * 1024;
/** Bodies that are read into memory at once; further ones go out from the disk meanwhile. */
const MAX_LOADING = 8;
/** Counts of uses halve when there was no room so many times for each body that is held. */
const REFUSALS_IN_PERIOD = 10;
/** The file of a body that is used is looked at so often: one that an operator removed or changed by hand is served from memory no longer than this. */
const LOOK_MS = 60_000;

/** The bytes of one stored object, in memory. */
export interface HotBody {
  /** What memory knew of the object when its bytes were read: they are served only while that holds. */
  readonly entry: Known;
  readonly bytes: Blob;
  /** Date of the file, in milliseconds since the epoch. */
  readonly modifiedAt: number;
  /** When its file was last looked at. */
  lookedAt: number;
}

/** What `HotBodies` shows of itself. `bodies` and `bytes` are held now; `hits` were answered since the start. */
export interface HotFigures {
  readonly bodies: number;
  readonly bytes: number;
  readonly maxBytes: number;
  readonly hits: number;
}

export type HotBodies = ReturnType<typeof createHotBodies>;

/**
 * Bodies of small objects that clients use often, at most `maxBytes` of them. A body comes in with its object's second use, so that a pass over the whole mirror
 * leaves nothing here; where there is no room, only in place of bodies that were used less than half as often as it. That is decided before anything is read: what
 * finds no room costs nothing more than without this memory. `now`: milliseconds since the epoch.
 *
 * Never serves a body whose object changed: a body belongs to one entry of the disk's memory, and each write and delete puts another entry there. What is left of
 * such a body goes when its object comes in anew, or when the room is needed.
 */
export function createHotBodies(maxBytes: number, now: () => number) {
  // In the order in which they came in, or were spared.
  const held = new Map<string, HotBody>();
  const loading = new Set<Known>();
  // The memory of the disk forgets what was used longest ago, and with the entry its count is gone.
  const uses = new WeakMap<Known, { count: number; period: number }>();
  /** Counts halve from one period to the next, so that what was used often once gives way to what is used now. */
  let period = 0;
  let refusals = 0;
  let bytes = 0;
  /** Of the bodies that are being read. */
  let reservedBytes = 0;
  let hits = 0;

  function drop(name: string): void {
    bytes -= held.get(name)?.bytes.size ?? 0;
    held.delete(name);
  }

  function usesOf(entry: Known): number {
    const found = uses.get(entry);
    return found === undefined ? 0 : found.count / 2 ** (period - found.period);
  }

  function refuse(): false {
    if (++refusals >= REFUSALS_IN_PERIOD * held.size) {
      period++;
      refusals = 0;
    }
    return false;
  }

  /**
   * Whether there is room for `size` bytes that were used `count` times: bodies of which memory holds another entry by now go for it, and such as were used less than
   * half as often. Between two that are used alike nothing changes places: each change costs a read.
   */
  function makeRoom(size: number, count: number, isCurrent: (name: string, entry: Known) => boolean): boolean {
    let missing = bytes + reservedBytes + size - maxBytes;
    const going: string[] = [];
    for (const [name, body] of held) {
      if (missing <= 0) break;
      if (isCurrent(name, body.entry) && usesOf(body.entry) * 2 >= count) {
        // The next one that wants room is compared with another body.
        held.delete(name);
        held.set(name, body);
        return refuse();
      }
      going.push(name);
      missing -= body.bytes.size;
    }
    if (missing > 0) return refuse();
    for (const name of going) drop(name);
    return true;
  }

  return {
    /** The body that belongs to `entry`, the current one of the path `name`; counts a use of it. */
    use(name: string, entry: Known): HotBody | null {
      uses.set(entry, { count: usesOf(entry) + 1, period });
      const body = held.get(name);
      if (body?.entry !== entry) return null;
      hits++;
      return body;
    },
    /** Whether the file of a body is to be looked at before it is served: then call `looked` or `drop`. */
    isLookDue: ({ lookedAt }: HotBody) => elapsedMs(lookedAt, now()) >= LOOK_MS || lookedAt > now(),
    looked(body: HotBody): void {
      body.lookedAt = now();
    },
    drop,
    /** Whether the `size` bytes of an object are to be read into memory now, which has room for them then: then call `load`. */
    isWanted: (entry: Known, size: number, isCurrent: (name: string, entry: Known) => boolean) =>
      size <= Math.min(MAX_BODY_BYTES, maxBytes) &&
      usesOf(entry) >= 2 &&
      !loading.has(entry) &&
      loading.size < MAX_LOADING &&
      makeRoom(size, usesOf(entry), isCurrent),
    /** Runs `read`, which gives all `size` bytes of the object, and holds them. Rejects as `read` does. */
    async load(
      name: string,
      entry: Known,
      { size, modifiedAt }: { readonly size: number; readonly modifiedAt: number },
      read: () => Promise<Uint8Array<ArrayBuffer>>,
    ): Promise<Blob> {
      loading.add(entry);
      reservedBytes += size;
      try {
        const body = { entry, bytes: new Blob([await read()]), modifiedAt, lookedAt: now() };
        drop(name);
        held.set(name, body);
        bytes += body.bytes.size;
        return body.bytes;
      } finally {
        reservedBytes -= size;
        loading.delete(entry);
      }
    },
    figures: (): HotFigures => ({ bodies: held.size, bytes, maxBytes, hits }),
  };
}

/** A stream of its own for each reader. As the body of a response the runtime sends it without a copy, which it does not do for the Blob itself. */
export function streamOf(bytes: Blob): ReadableStream<Uint8Array> {
  return bytes.stream();
}
