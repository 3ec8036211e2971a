import type { Fill, Run, SliceBuffer } from "./fill.ts";
import type { Memory } from "./memory.ts";

/** Slices in memory for one fill: the one under way, the one being stored, and one for readers close behind. */
const MAX_BUFFERS = 3;
/** A fill that cannot be stored goes at the pace of its readers; one that reads nothing for this long is left behind. */
const READER_STALL_MS = 60_000;

/** Room for the next slice of `run`; null when the isolate's memory is taken, or the readers of an unstored fill stopped reading. */
export async function takeBuffer(fill: Fill, memory: Memory, run: Run, start: number, length: number): Promise<SliceBuffer | null> {
  if (!(await makeRoom(fill))) return null;
  const room = await memory.take(length);
  if (room === null) return null;
  // A second run may have taken over this slice from a stalled one; what both bring is the same.
  dropBuffer(fill, run.slice);
  const buffer = { index: run.slice, start, bytes: room.bytes, filled: 0, atRest: false, released: false, free: room.free };
  fill.buffers.set(run.slice, buffer);
  return buffer;
}

async function makeRoom(fill: Fill): Promise<boolean> {
  for (let waits = 0; fill.buffers.size >= MAX_BUFFERS; waits++) {
    const done = [...fill.buffers.values()].find((buffer) => buffer.atRest || (!fill.storable && isRead(fill, buffer)));
    if (done !== undefined) dropBuffer(fill, done.index);
    else if (waits * 1_000 >= READER_STALL_MS) return false;
    else await fill.changed.wait(1_000);
  }
  return true;
}

function isRead(fill: Fill, buffer: SliceBuffer): boolean {
  const end = buffer.start + buffer.bytes.length;
  return buffer.filled === buffer.bytes.length && [...fill.readers].every((reader) => reader.position >= end);
}

function dropBuffer(fill: Fill, index: number): void {
  const buffer = fill.buffers.get(index);
  // One that is not at rest may still be on its way to the store.
  buffer?.free(buffer.atRest);
  fill.buffers.delete(index);
}

/** Drops what the store has as well: readers go on from there. */
export function dropStoredBuffers(fill: Fill): void {
  for (const { index, atRest } of fill.buffers.values()) if (atRest) dropBuffer(fill, index);
}

export function dropBuffers(fill: Fill): void {
  for (const index of fill.buffers.keys()) dropBuffer(fill, index);
}
