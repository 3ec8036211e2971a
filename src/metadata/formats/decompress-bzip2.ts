import bzip2 from "unbzip2-stream/lib/bzip2.js";
import { concatBytes } from "../../verify/concat-bytes.ts";
import { type ByteInput, requireFewParts } from "./byte-input.ts";
import { MalformedError } from "./parsed-root.ts";

/** The first bytes of a bzip2 stream; a digit follows. */
export const BZIP2_MAGIC = [0x42, 0x5a, 0x68];

const HEADER_BYTES = 4;
const BLOCK_UNIT_BYTES = 100_000;
/** A packed block is shorter than this and its block size together. */
const SURPLUS_BYTES = 25_000;
/**
 * The block size of 900 KB is that of the data after its first step, which shortens runs of a byte: a block may open to 46 MB, in one turn. In no real
 * index runs make up more than a small part.
 */
const MAX_OPEN_BLOCK_BYTES = 4 * 1024 * 1024;

/** Opens all streams of a bzip2 file, of which pbzip2 writes one for each block. A turn opens one block, some 30 to 60 ms. Throws MalformedError. */
export async function* bunzip2(input: ByteInput): AsyncGenerator<Uint8Array> {
  // The library keeps the tables of a block in `this`.
  const decoder = Object.create(bzip2) as typeof bzip2;
  const output = createOutput();
  let scratch = new Int32Array();
  for (let streams = 0; ; streams++) {
    const header = await input.peek(HEADER_BYTES);
    if (!BZIP2_MAGIC.every((byte, at) => header[at] === byte)) {
      // As bzip2(1): zeros or other bytes behind a stream are passed over.
      if (streams > 0) return;
      throw new MalformedError("it does not decompress: it is no bzip2 stream");
    }
    requireFewParts(streams, "bzip2 streams", input);
    const bits = createBits();
    bits.supply(header);
    const length = run(() => decoder.header(bits.read)) * BLOCK_UNIT_BYTES;
    if (scratch.length < length) scratch = new Int32Array(length);
    yield* decodeBlocks(input, decoder, bits, scratch.subarray(0, length), output);
  }
}

/** Opens the blocks of a stream; what `bits` has read of it was not taken from the input yet. */
async function* decodeBlocks(
  input: ByteInput,
  decoder: typeof bzip2,
  bits: ReturnType<typeof createBits>,
  scratch: Int32Array,
  output: ReturnType<typeof createOutput>,
): AsyncGenerator<Uint8Array> {
  let crc: number | null = 0;
  while (crc !== null) {
    bits.supply(await input.peek(bits.used() + scratch.length + SURPLUS_BYTES));
    const before: number = crc;
    crc = run(() => decoder.decompress(bits.read, output.write, scratch, scratch.length, before));
    if (crc === null) bits.align();
    // What is left of the last byte belongs to the next block.
    await input.skip(bits.drop());
    const bytes = output.take();
    if (bytes.length > 0) yield bytes;
  }
}

/** Runs a step of the library, whose errors are no instances of Error. */
function run<T>(step: () => T): T {
  try {
    return step();
  } catch (error) {
    if (error instanceof MalformedError) throw error;
    throw new MalformedError("it does not decompress: it is no bzip2 stream, or is altered");
  }
}

/** Bits of the bytes that were supplied last, the highest of each byte first. */
function createBits() {
  let bytes: Uint8Array = new Uint8Array();
  /** In bits. */
  let position = 0;
  const used = (): number => Math.ceil(position / 8);
  /** The library's way to read: a number of bits; null aligns. */
  const read = (count: number | null): number => {
    if (count === null) return 0;
    // Four bytes hold 24 bits from any bit of the first one on; the library asks for 32 at most.
    if (count > 24) return (read(count - 16) << 16) | read(16);
    const at = position >> 3;
    const offset = position & 7;
    position += count;
    if (position > bytes.length * 8) throw new MalformedError("it does not decompress: it is cut off");
    const word = ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
    return count === 0 ? 0 : (word << offset) >>> (32 - count);
  };
  return {
    /** Takes the bytes from the first one that `drop` did not count. */
    supply(next: Uint8Array): void {
      bytes = next;
    },
    used,
    /** The number of bytes of which nothing is left; they are counted once. */
    drop(): number {
      const whole = Math.floor(position / 8);
      position -= whole * 8;
      return whole;
    },
    align(): void {
      position = used() * 8;
    },
    read,
  };
}

/** Collects the bytes of one block, which come one by one. */
function createOutput() {
  let room = new Uint8Array(1024 * 1024);
  let length = 0;
  return {
    write(byte: number): void {
      if (length === room.length) {
        if (length >= MAX_OPEN_BLOCK_BYTES) throw new MalformedError(`a block of it opens to more than ${MAX_OPEN_BLOCK_BYTES} bytes`);
        room = concatBytes(room, new Uint8Array(length));
      }
      room[length++] = byte;
    },
    take(): Uint8Array {
      const bytes = room.slice(0, length);
      length = 0;
      return bytes;
    },
  };
}
