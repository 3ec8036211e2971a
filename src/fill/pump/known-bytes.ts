import type { ObjectStore } from "../../store/object-store.ts";
import { readPart } from "../../store/read-object.ts";
import type { KnownBytes } from "../../upstream/upstream.ts";
import type { Fill } from "../shared/fill.ts";

/** Bytes of the fill's version, from memory or the store: another upstream's copy is compared with them. */
export function createKnownBytes(fill: Fill, store: ObjectStore): KnownBytes {
  return async (from, to) => {
    const { object, sliceBytes, key } = fill;
    if (object === null) return null;
    const bytes = new Uint8Array(to - from);
    for (let position = from; position < to;) {
      const index = Math.floor(position / sliceBytes);
      const end = Math.min(to, (index + 1) * sliceBytes);
      const buffer = fill.buffers.get(index);
      const isInMemory = buffer !== undefined && buffer.start + buffer.filled >= end;
      const part = isInMemory
        ? buffer.bytes.subarray(position - buffer.start, end - buffer.start)
        : await readPart(store, key, object, position, end - position);
      if (part === null) return null;
      bytes.set(part, position - from);
      position = end;
    }
    return bytes;
  };
}
