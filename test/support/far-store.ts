import type { ObjectStore } from "../../src/store/object-store.ts";

const BLOCK_BYTES = 512 * 1024;
/** The same bytes in all blocks, but for the number of the block in front. */
const PATTERN = Uint8Array.from({ length: BLOCK_BYTES }, (_, at) => (at * 31 + (at >> 8)) & 255);

/** Bytes [from, to) of a file whose content follows from the position alone. They must lie in one block of 512 KiB. */
export function generatedBytes(from: number, to: number): Uint8Array<ArrayBuffer> {
  const block = Math.floor(from / BLOCK_BYTES);
  const bytes = PATTERN.slice(from - block * BLOCK_BYTES, to - block * BLOCK_BYTES);
  const number = [block >> 24, block >> 16, block >> 8, block];
  for (let at = from; at < to && at < block * BLOCK_BYTES + number.length; at++) bytes[at - from] = number[at - block * BLOCK_BYTES]! & 255;
  return bytes;
}

/** The same bytes, of any length, as a byte stream that makes them when they are read. `onEnd`: it was read to its end, or cancelled. */
export function generatedStream(
  from: number,
  to: number,
  onEnd: (how: "read" | "cancelled") => void = () => {},
): ReadableStream<Uint8Array> {
  let position = from;
  return new ReadableStream({
    type: "bytes",
    pull(controller) {
      if (position < to) {
        const end = Math.min(to, (Math.floor(position / BLOCK_BYTES) + 1) * BLOCK_BYTES);
        controller.enqueue(generatedBytes(position, end));
        position = end;
      }
      if (position < to) return;
      controller.close();
      controller.byobRequest?.respond(0);
      onEnd("read");
    },
    cancel: () => onEnd("cancelled"),
  });
}

/** What a store far away was asked, in order: `getSlice 3` when a call begins, `absent 3` when it gave none, and `read 3` or `cancelled 3` when its stream ends. */
export type FarEvents = string[];

/**
 * A store that answers each call `delayMs` later than `store` does, by the timers of this process. Slices that `store` has not, and `isStored` says are there,
 * are generated: slices of `sliceBytes` of a file of `size` bytes. At most one version may be read.
 */
export function createFarStore(
  store: ObjectStore,
  { delayMs, sliceBytes, size, isStored, isBroken = () => false }: FarOptions,
): { readonly store: ObjectStore; readonly events: FarEvents } {
  const events: FarEvents = [];
  const after = async <T>(name: string, call: () => Promise<T>): Promise<T> => {
    events.push(name);
    await new Promise<void>((resolve) => setTimeout(resolve, delayMs));
    return call();
  };
  const far: ObjectStore = {
    head: (key) => after(`head ${key}`, () => store.head(key)),
    peek: (key) => after(`peek ${key}`, () => store.peek(key)),
    get: (key, ...rest) => after(`get ${key}`, () => store.get(key, ...rest)),
    put: (key, ...rest) => after(`put ${key}`, () => store.put(key, ...rest)),
    delete: (keys) => after(`delete ${keys.join(" ")}`, () => store.delete(keys)),
    list: (options) => after(`list ${options.prefix}`, () => store.list(options)),
    putSlice: (version, index, bytes) => after(`putSlice ${index}`, () => store.putSlice(version, index, bytes)),
    getSlice: (version, index, offset = 0, length = Math.min(sliceBytes, size - index * sliceBytes) - offset) =>
      after(`getSlice ${index}`, async () => {
        const stored = await store.getSlice(version, index, offset, length);
        const isThere = stored !== null || isStored(index);
        await stored?.cancel();
        if (!isThere) events.push(`absent ${index}`);
        if (!isThere) return null;
        if (isBroken(index))
          return new ReadableStream({ type: "bytes", start: (controller) => controller.error(new Error("the bucket cut it")) });
        const from = index * sliceBytes + offset;
        return generatedStream(from, from + length, (how) => void events.push(`${how} ${index}`));
      }),
  };
  return { store: far, events };
}

export interface FarOptions {
  readonly delayMs: number;
  readonly sliceBytes: number;
  readonly size: number;
  readonly isStored: (index: number) => boolean;
  /** Slices whose streams break before their first byte. */
  readonly isBroken?: (index: number) => boolean;
}
