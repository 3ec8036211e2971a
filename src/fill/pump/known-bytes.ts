import { elapsedMs } from "../../clock/elapsed.ts";
import { listSlices } from "../../store/delete-version.ts";
import { parseSliceKey } from "../../store/keys.ts";
import { readPart } from "../../store/read-object.ts";
import type { KnownBytes, NearbyBytes } from "../../upstream/upstream.ts";
import { STALLED_MS, type Fill, type Run } from "../shared/fill.ts";
import type { PumpDependencies } from "./dependencies.ts";

type KnownDependencies = Pick<PumpDependencies, "store" | "now">;

/** As many bytes of a neighbouring slice are compared as of those before the offset of a resume. */
const EDGE_BYTES = 65_536;

/**
 * Bytes of the fill's version, from memory or the store, with which an upstream's copy is compared. The beginning of the file is waited for while
 * another run brings it: without it, a request for a later part could prove nothing.
 */
export function createKnownBytes(fill: Fill, run: Run, { store, now }: KnownDependencies): KnownBytes {
  const isComing = (slice: number) =>
    [...fill.runs].some((other) => other !== run && other.slice === slice && elapsedMs(other.progressAt, now()) < STALLED_MS);

  async function readKnown(position: number, end: number, mayWait: boolean): Promise<Uint8Array | null> {
    for (;;) {
      const { object, sliceBytes, key, buffers, changed } = fill;
      if (object === null) return null;
      const index = Math.floor(position / sliceBytes);
      const buffer = buffers.get(index);
      if (buffer !== undefined && buffer.start + buffer.filled >= end)
        return buffer.bytes.subarray(position - buffer.start, end - buffer.start);
      const part = await readPart(store, key, object, position, end - position).catch(() => null);
      if (part !== null || !mayWait || !isComing(index)) return part;
      await changed.wait(STALLED_MS);
    }
  }

  return async (from, to) => {
    const bytes = new Uint8Array(to - from);
    for (let position = from; position < to;) {
      const end = Math.min(to, (Math.floor(position / fill.sliceBytes) + 1) * fill.sliceBytes);
      const part = await readKnown(position, end, from === 0);
      if (part === null) return null;
      bytes.set(part, position - from);
      position = end;
    }
    return bytes;
  };
}

/** The edge of the stored slice that is nearest to the run: the beginning of one after it, else the end of one before it. */
export function createNearbyBytes(fill: Fill, run: Run, { store }: KnownDependencies): NearbyBytes {
  return async () => {
    const { object, sliceBytes, key } = fill;
    if (object?.sliceBytes === undefined) return null;
    const listed = await listSlices(store, object.version).catch(() => []);
    const indexes = listed.map((slice) => parseSliceKey(slice.key)?.index ?? run.slice).toSorted((a, b) => a - b);
    const index = indexes.find((after) => after > run.slice) ?? indexes.findLast((before) => before < run.slice);
    if (index === undefined) return null;
    const [start, end] = [index * sliceBytes, Math.min(object.size, (index + 1) * sliceBytes)];
    const from = index > run.slice ? start : Math.max(start, end - EDGE_BYTES);
    const length = Math.min(EDGE_BYTES, end - from);
    const bytes = await readPart(store, key, object, from, length).catch(() => null);
    return bytes === null ? null : { from, bytes };
  };
}
