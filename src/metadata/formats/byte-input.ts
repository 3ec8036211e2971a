import { concatBytes, joinBytes } from "../../verify/concat-bytes.ts";
import type { Pace } from "./pace.ts";
import { MalformedError } from "./parsed-root.ts";

/** Decoders get no more at once. A kilobyte of gzip may open to a megabyte. */
const MAX_PIECE_BYTES = 16 * 1024;

/** Each part of a packed file (a member, frame or stream) costs a decoder of its own. bgzip's are the shortest in use, some 16 KB. */
const FREE_PARTS = 1000;
const MIN_BYTES_PER_PART = 1024;

/** A part costs as much as so many bytes, however short it is. */
const UNITS_PER_PART = 4 * 1024;

/**
 * Pays for the decoder of the next part of a file. Throws MalformedError where the file is made of far more parts than any tool makes. `parts`: those that
 * were read so far; `what`: what they are called.
 */
export async function beginPart(parts: number, what: string, { used }: ByteInput, pace: Pace): Promise<void> {
  await pace(UNITS_PER_PART);
  if (parts > FREE_PARTS && parts * MIN_BYTES_PER_PART > used)
    throw new MalformedError(`it has too many ${what} for its ${used} bytes so far`);
}

/** Bytes that come in chunks of any size, read in pieces, with a look ahead. */
export interface ByteInput {
  /** The next `length` bytes, or fewer where the input ends before; they stay to be read. */
  peek(length: number): Promise<Uint8Array>;
  /** The next bytes, of which there is at least one; null at the end of the input. */
  next(maxBytes?: number): Promise<Uint8Array | null>;
  /** Puts bytes back that `next` gave. */
  unread(bytes: Uint8Array): void;
  /** Passes over `length` bytes. False: the input ended before. */
  skip(length: number): Promise<boolean>;
  /** Bytes that were read and not put back. */
  readonly used: number;
  /** Ends the reading of the chunks. */
  close(): Promise<void>;
}

/** @param pace pays for each chunk that comes. */
export function createByteInput(chunks: AsyncIterable<Uint8Array>, pace: Pace): ByteInput {
  const iterator = chunks[Symbol.asyncIterator]();
  let held: Uint8Array = new Uint8Array();
  let isEnded = false;
  let used = 0;

  /** The next chunk that is not empty; null: the input has ended. */
  async function pull(): Promise<Uint8Array | null> {
    while (!isEnded) {
      const { done, value } = await iterator.next();
      if (done === true) isEnded = true;
      else {
        await pace(value.length);
        if (value.length > 0) return value;
      }
    }
    return null;
  }

  const next = async (maxBytes = MAX_PIECE_BYTES): Promise<Uint8Array | null> => {
    if (held.length === 0) {
      const chunk = await pull();
      if (chunk === null) return null;
      held = chunk;
    }
    const piece = held.subarray(0, maxBytes);
    held = held.subarray(piece.length);
    used += piece.length;
    return piece;
  };

  return {
    async peek(length) {
      const parts = [held];
      let size = held.length;
      while (size < length) {
        const chunk = await pull();
        if (chunk === null) break;
        parts.push(chunk);
        size += chunk.length;
      }
      if (parts.length > 1) held = joinBytes(parts);
      return held.subarray(0, length);
    },
    next,
    unread(bytes) {
      used -= bytes.length;
      held = held.length === 0 ? bytes : concatBytes(bytes, held);
    },
    async skip(length) {
      for (let left = length; left > 0;) {
        const piece = await next(left);
        if (piece === null) return false;
        left -= piece.length;
      }
      return true;
    },
    get used() {
      return used;
    },
    async close() {
      await iterator.return?.();
    },
  };
}
