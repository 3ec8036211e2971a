import type { ObjectStore } from "../../store/object-store.ts";
import type { KnownBytes } from "../../upstream/upstream.ts";
import type { Fill } from "../shared/fill.ts";

/** Bytes of the fill's version that are at hand, in memory or at rest: what another upstream's copy is compared with. */
export function createKnownBytes(fill: Fill, store: ObjectStore): KnownBytes {
  return {
    async read(from, to) {
      const { object, sliceBytes } = fill;
      if (object === null) return null;
      const bytes = new Uint8Array(to - from);
      for (let position = from; position < to;) {
        const index = Math.floor(position / sliceBytes);
        const offset = position - index * sliceBytes;
        const length = Math.min(to, (index + 1) * sliceBytes) - position;
        const buffer = fill.buffers.get(index);
        if (buffer !== undefined && buffer.filled >= offset + length) {
          bytes.set(buffer.bytes.subarray(offset, offset + length), position - from);
        } else {
          const stored = await store.getSlice(object.version, index, offset, length);
          if (stored === null) return null;
          bytes.set(new Uint8Array(await new Response(stored).arrayBuffer()), position - from);
        }
        position += length;
      }
      return bytes;
    },
  };
}
