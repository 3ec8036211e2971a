import { type ByteInput, beginPart } from "./byte-input.ts";
import { openBlock } from "./bzip2-block.ts";
import type { Pace } from "./pace.ts";
import { MalformedError } from "./parsed-root.ts";

/** The first bytes of a bzip2 stream; a digit follows. */
export const BZIP2_MAGIC = [0x42, 0x5a, 0x68];

const HEADER_BYTES = 4;
const BLOCK_UNIT_BYTES = 100_000;
/** A packed block is shorter than this and its block size together. */
const SURPLUS_BYTES = 25_000;
/** The digits of pi before a block, and those of its square root before the checksum at the end of a stream. */
const [BLOCK_MAGIC, END_MAGIC] = [0x314159265359, 0x177245385090];

/**
 * Opens all streams of a bzip2 file, of which pbzip2 writes one for each block. Throws MalformedError.
 * @param pace pays for the work: a block of 900 KB takes some 100 ms, far more than one turn may.
 */
export async function* bunzip2(input: ByteInput, pace: Pace): AsyncGenerator<Uint8Array> {
  let table = new Uint32Array();
  for (let streams = 0; ; streams++) {
    const header = await input.peek(HEADER_BYTES);
    const blockUnits = (header[3] ?? 0) - 0x30;
    if (!BZIP2_MAGIC.every((byte, at) => header[at] === byte) || blockUnits < 1 || blockUnits > 9) {
      // As bzip2(1): zeros or other bytes behind a stream are passed over.
      if (streams > 0) return;
      throw new MalformedError("it does not decompress: it is no bzip2 stream");
    }
    await beginPart(streams, "bzip2 streams", input, pace);
    await input.skip(HEADER_BYTES);
    if (table.length < blockUnits * BLOCK_UNIT_BYTES) table = new Uint32Array(blockUnits * BLOCK_UNIT_BYTES);
    yield* openBlocks(input, table.subarray(0, blockUnits * BLOCK_UNIT_BYTES), pace);
  }
}

/** Opens the blocks of a stream. */
async function* openBlocks(input: ByteInput, table: Uint32Array, pace: Pace): AsyncGenerator<Uint8Array> {
  const bits = createBits();
  let checksum = 0;
  for (;;) {
    bits.supply(await input.peek(table.length + SURPLUS_BYTES));
    const magic = bits.read(24) * 2 ** 24 + bits.read(24);
    if (magic === END_MAGIC) {
      const stated = ((bits.read(16) << 16) | bits.read(16)) >>> 0;
      if (stated !== checksum) throw new MalformedError("it does not decompress: its checksum is another");
      bits.align();
      await input.skip(bits.drop());
      return;
    }
    if (magic !== BLOCK_MAGIC) throw new MalformedError("it does not decompress: it is no bzip2 stream, or is altered");
    const steps = openBlock(bits.read, table);
    let step = steps.next();
    for (; step.done !== true; step = steps.next()) {
      const { units, bytes } = step.value;
      const waiting = pace(units);
      if (waiting !== undefined) await waiting;
      if (bytes !== undefined) yield bytes;
    }
    checksum = (((checksum << 1) | (checksum >>> 31)) ^ step.value) >>> 0;
    // What is left of the last byte belongs to the next block.
    await input.skip(bits.drop());
  }
}

/** Bits of the bytes that were supplied last, the highest of each byte first. */
function createBits() {
  let bytes: Uint8Array = new Uint8Array();
  /** In bits. */
  let position = 0;
  return {
    /** Takes the bytes from the first one that `drop` did not count. */
    supply(next: Uint8Array): void {
      bytes = next;
    },
    read(count: number): number {
      // Four bytes hold 24 bits from any bit of the first one on.
      const at = position >> 3;
      const offset = position & 7;
      position += count;
      if (position > bytes.length * 8) throw new MalformedError("it does not decompress: it is cut off");
      const word = ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
      return count === 0 ? 0 : (word << offset) >>> (32 - count);
    },
    /** The number of bytes of which nothing is left; they are counted once. */
    drop(): number {
      const whole = position >> 3;
      position &= 7;
      return whole;
    },
    align(): void {
      position = (position + 7) & ~7;
    },
  };
}
