import { beginsWith, broken, type Broken, type Walk, type WalkedFile } from "./walk.ts";

const FRAME_MAGIC_BYTES = 4;
/** The first bytes of a zstd frame. */
export const ZSTD_MAGIC = [0x28, 0xb5, 0x2f, 0xfd];
/** The magic of a skippable frame, as a number; its low four bits may be any. */
const SKIPPABLE_MAGIC = 0x184d2a50;

const SINGLE_SEGMENT = 0x20;
const RESERVED = 0x08;
const HAS_CHECKSUM = 0x04;
const CHECKSUM_BYTES = 4;
/** Bytes of these fields, by the two lowest and by the two highest bits of the frame's descriptor. */
const DICTIONARY_ID_BYTES = [0, 1, 2, 4];
const CONTENT_SIZE_BYTES = [0, 2, 4, 8];

const BLOCK_HEADER_BYTES = 3;
const RLE_BLOCK = 1;
const RESERVED_BLOCK = 3;
const MAX_BLOCK_BYTES = 128 * 1024;

/** Whether the bytes begin a zstd frame or a skippable frame. */
export function isZstdMagic(bytes: Uint8Array): boolean {
  return beginsWith(bytes, ZSTD_MAGIC) || isSkippable(bytes);
}

/**
 * Walks a file of zstd frames, from behind its first magic (RFC 8878 §3.1), frame by frame and block by block to the end of the file. Nothing is
 * decompressed and no checksum is computed, so a changed bit is found only where it breaks the structure. A frame does not state its packed length, so
 * a cut shows only at the end of the file; a file cut exactly between two frames passes for whole.
 */
export function* walkZstd(file: WalkedFile, firstMagic: Uint8Array): Walk {
  file.declare({ kind: "unknown" });
  let magic = firstMagic;
  let at = 0;
  while (isZstdMagic(magic)) {
    const walkFrame = isSkippable(magic) ? walkSkippable : walkBlocks;
    const end = yield* walkFrame(at + FRAME_MAGIC_BYTES);
    if (typeof end !== "number") return end;
    at = end;
    magic = yield { at, size: FRAME_MAGIC_BYTES };
    if (magic.length === 0) return { kind: "whole" };
  }
  return broken(`what follows the zstd frame that ends at ${at} is no frame`);
}

const CUT_FRAME = broken("the file ends inside a zstd frame");

/** The offset at which the frame ends, whose magic ends at `start`. */
function* walkBlocks(start: number): Walk<number | Broken> {
  const [descriptor] = yield { at: start, size: 1 };
  if (descriptor === undefined) return CUT_FRAME;
  if ((descriptor & RESERVED) !== 0) return broken(`the zstd frame at ${start - FRAME_MAGIC_BYTES} uses a reserved bit`);
  // A single segment has no window descriptor (one byte), but a content size of at least one byte.
  const sizeBytes = (CONTENT_SIZE_BYTES[descriptor >> 6] ?? 0) + ((descriptor & SINGLE_SEGMENT) === 0 || descriptor >> 6 === 0 ? 1 : 0);
  let at = start + 1 + (DICTIONARY_ID_BYTES[descriptor & 3] ?? 0) + sizeBytes;
  for (let isLast = false; !isLast;) {
    const bytes = yield { at, size: BLOCK_HEADER_BYTES };
    if (bytes.length < BLOCK_HEADER_BYTES) return CUT_FRAME;
    const header = littleEndian(bytes);
    const [type, size] = [(header >> 1) & 3, header >>> 3];
    if (type === RESERVED_BLOCK) return broken(`the zstd block at ${at} has a reserved type`);
    if (size > MAX_BLOCK_BYTES) return broken(`the zstd block at ${at} has ${size} bytes: ${MAX_BLOCK_BYTES} are allowed`);
    isLast = (header & 1) === 1;
    const bodyBytes = type === RLE_BLOCK ? 1 : size;
    const endBytes = bodyBytes + (isLast && (descriptor & HAS_CHECKSUM) !== 0 ? CHECKSUM_BYTES : 0);
    at += BLOCK_HEADER_BYTES + endBytes;
    if (isLast && !(yield* hasLastByte(at, endBytes))) return CUT_FRAME;
  }
  return at;
}

/** RFC 8878 §3.1.2: a length, and as many bytes to skip. */
function* walkSkippable(start: number): Walk<number | Broken> {
  const bytes = yield { at: start, size: 4 };
  if (bytes.length < 4) return CUT_FRAME;
  const size = littleEndian(bytes);
  const end = start + 4 + size;
  return (yield* hasLastByte(end, size)) ? end : CUT_FRAME;
}

/**
 * Whether the file has all of the `size` skipped bytes before `end`. The next field would not show it: a field behind the end of the file is as
 * empty as one exactly at its end.
 */
function* hasLastByte(end: number, size: number): Walk<boolean> {
  return size === 0 || (yield { at: end - 1, size: 1 }).length === 1;
}

function isSkippable(magic: Uint8Array): boolean {
  return (littleEndian(magic) & ~0xf) === SKIPPABLE_MAGIC;
}

function littleEndian(bytes: Uint8Array): number {
  return bytes.reduceRight((value, byte) => value * 256 + byte, 0);
}
