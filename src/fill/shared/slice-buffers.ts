import { elapsedMs } from "../../clock/elapsed.ts";
import { dropReader, UNKNOWN_SIZE, type Fill, type Reader, type Run, type SliceBuffer } from "./fill.ts";
import type { Memory } from "./memory.ts";

/** Slices in memory for one fill: the one being fetched, the one being stored, and one for readers close behind. */
const MAX_BUFFERS = 3;
/** A fill that cannot be stored goes at the pace of its slowest reader, and drops a reader that read nothing for this long. */
const READER_STALL_MS = 60_000;

/** The same where memory is short: its bytes keep other clients waiting. */
const SHORT_STALL_MS = 5_000;
/** Length of the pieces in which a body is held that is not stored: a client that stalls holds three of them. */
const UNSTORED_BYTES = 512 * 1024;

/** Bytes of the first buffer of a body without a length: most are small. */
const FIRST_BYTES = 64 * 1024;

/**
 * Room for the next slice of `run`, of an object of `size` bytes (UNKNOWN_SIZE where it is not known: then the first buffer is small, and is to be widened);
 * null when the isolate's memory is taken, or an unstored fill has no reader left.
 */
export async function takeBuffer(
  fill: Fill,
  run: Run,
  size: number,
  { memory, now }: { readonly memory: Memory; readonly now: () => number },
): Promise<SliceBuffer | null> {
  const start = run.slice * fill.sliceBytes;
  if (!(await makeRoom(fill, now))) return null;
  const isOpen = size === UNKNOWN_SIZE && run.slice === 0;
  const room = await memory.take(Math.min(fill.sliceBytes, isOpen ? FIRST_BYTES : size - start), () => !fill.storable);
  if (room === null) return null;
  // A second run may have taken over this slice from a stalled one; both bring the same bytes.
  dropBuffer(fill, run.slice);
  const buffer = { index: run.slice, start, bytes: room.bytes, filled: 0, atRest: false, released: false, free: room.free };
  fill.buffers.set(run.slice, buffer);
  return buffer;
}

/** The same slice in a buffer of `length` bytes; null when the isolate's memory is taken. */
export async function widenBuffer(fill: Fill, buffer: SliceBuffer, length: number, memory: Memory): Promise<SliceBuffer | null> {
  const room = await memory.take(length, () => !fill.storable);
  if (room === null) return null;
  room.bytes.set(buffer.bytes.subarray(0, buffer.filled));
  buffer.free(true);
  const wider = { ...buffer, bytes: room.bytes, free: room.free };
  fill.buffers.set(buffer.index, wider);
  return wider;
}

/**
 * Has a body that will not be stored held in small pieces, before its first buffer is taken: numbers of slices, of which `run` is corrected, mean these pieces
 * from then on. Returns how many of them a slice was.
 */
export function shrinkSlices(fill: Fill, run: Run): number {
  const parts = fill.sliceBytes / UNSTORED_BYTES;
  const isFirst = fill.object === null && fill.growing === null && fill.buffers.size === 0 && fill.runs.size === 1;
  if (fill.storable || !isFirst || parts <= 1 || !Number.isInteger(parts)) return 1;
  fill.sliceBytes = UNSTORED_BYTES;
  run.slice *= parts;
  if (run.last !== null) run.last = (run.last + 1) * parts - 1;
  return parts;
}

/** The slice ends with the bytes that it has: the last one of a body without a length. */
export function endBuffer(fill: Fill, buffer: SliceBuffer): SliceBuffer {
  const ended = { ...buffer, bytes: buffer.bytes.subarray(0, buffer.filled) };
  fill.buffers.set(buffer.index, ended);
  return ended;
}

async function makeRoom(fill: Fill, now: () => number): Promise<boolean> {
  let slowest = slowestReader(fill);
  let [position, movedAt] = [slowest?.position, now()];
  while (fill.buffers.size >= MAX_BUFFERS) {
    const done = [...fill.buffers.values()].find((buffer) => buffer.atRest || (!fill.storable && isRead(fill, buffer)));
    if (done !== undefined) {
      dropBuffer(fill, done.index);
      continue;
    }
    await fill.changed.wait(1_000);
    const reader = slowestReader(fill);
    if (reader !== slowest || reader?.position !== position) [slowest, position, movedAt] = [reader, reader?.position, now()];
    else if (elapsedMs(movedAt, now()) >= READER_STALL_MS) {
      // It holds up all other readers, and the upstream.
      if (reader === undefined) return false;
      dropReader(fill, reader);
    }
  }
  return true;
}

function slowestReader(fill: Fill): Reader | undefined {
  return [...fill.readers].toSorted((a, b) => a.position - b.position)[0];
}

function isRead(fill: Fill, buffer: SliceBuffer): boolean {
  const end = buffer.start + buffer.bytes.length;
  return buffer.filled === buffer.bytes.length && [...fill.readers].every((reader) => reader.position >= end);
}

function dropBuffer(fill: Fill, index: number): void {
  const buffer = fill.buffers.get(index);
  // The store may still be writing one that is not at rest: its bytes must not be overwritten.
  buffer?.free(buffer.atRest);
  fill.buffers.delete(index);
}

/** Drops the slices that are at rest: their readers go on from the store. */
export function dropStoredBuffers(fill: Fill): void {
  for (const { index, atRest } of fill.buffers.values()) if (atRest) dropBuffer(fill, index);
}

/** Drops what is not stored and was read by all: it would wait for the next slice of its fill. */
export function dropReadBuffers(fill: Fill): void {
  if (fill.storable) return;
  for (const buffer of fill.buffers.values()) if (isRead(fill, buffer)) dropBuffer(fill, buffer.index);
}

/** Of fills that are not stored, ends the reader whose client has stalled for longest, if for long enough. Whether there was one. */
export function dropStalled(fills: Iterable<Fill>, now: number): boolean {
  const stalled = [...fills].flatMap((fill) =>
    fill.storable || fill.buffers.size === 0
      ? []
      : [...fill.readers].map((reader) => ({ fill, reader, ms: reader.sending === undefined ? 0 : elapsedMs(reader.sending.since, now) })),
  );
  const [longest] = stalled.toSorted((one, other) => other.ms - one.ms);
  if (longest === undefined || longest.ms < SHORT_STALL_MS) return false;
  dropReader(longest.fill, longest.reader);
  return true;
}

export function dropBuffers(fill: Fill): void {
  for (const index of fill.buffers.keys()) dropBuffer(fill, index);
}
