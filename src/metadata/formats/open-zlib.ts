// workerd has zstd and raw deflate only in node:zlib. Its DecompressionStream opens all of a chunk at once, however much that is.
import { constants, crc32, createInflateRaw, createZstdDecompress } from "node:zlib";
import type { ByteInput } from "./byte-input.ts";
import { MalformedError } from "./parsed-root.ts";

const CHUNK_BYTES = 64 * 1024;
/** 64 MiB, of the 128 that an isolate has at the edge. `zstd -19` needs 8; only `--ultra` and `--long` go beyond. */
const MAX_ZSTD_WINDOW_LOG = 26;

type ZlibStream = ReturnType<typeof createInflateRaw> | ReturnType<typeof createZstdDecompress>;

/** The CRC-32 of gzip, of more bytes behind those of `before`. */
export const updateCrc32 = (bytes: Uint8Array, before: number): number => crc32(bytes, before);

/** Opens the deflate data of one gzip member, and leaves what is behind it in `input`. Throws MalformedError. */
export function inflateMember(input: ByteInput): AsyncGenerator<Uint8Array> {
  return decode(createInflateRaw({ chunkSize: CHUNK_BYTES }), input);
}

/**
 * Opens one zstd frame or more, and leaves what is behind them in `input`: workerd's decoder ends with the first frame where more came with it, and
 * Node's too. Throws MalformedError.
 */
export function decodeZstdFrames(input: ByteInput): AsyncGenerator<Uint8Array> {
  const params = { [constants.ZSTD_d_windowLogMax]: MAX_ZSTD_WINDOW_LOG };
  return decode(createZstdDecompress({ chunkSize: CHUNK_BYTES, params }), input);
}

async function* decode(zlib: ZlibStream, input: ByteInput): AsyncGenerator<Uint8Array> {
  const isOver = new Promise<void>((resolve) => void zlib.once("end", resolve).once("close", resolve));
  const fed = feed(zlib, input, isOver);
  fed.catch((error: unknown) => zlib.destroy(error instanceof Error ? error : new Error(String(error))));
  try {
    for await (const chunk of zlib) yield chunk as Uint8Array;
  } catch (error) {
    // What the store threw while we read is its own error, not a fault of the file.
    await fed;
    throw new MalformedError(`it does not decompress: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    zlib.destroy();
  }
  await fed;
}

/** Writes piece after piece, one at a time, so that what the decoder did not take of the last one is known. */
async function feed(zlib: ZlibStream, input: ByteInput, isOver: Promise<void>): Promise<void> {
  let written = 0;
  let piece: Uint8Array | null = null;
  let isEnded = false;
  void isOver.then(() => (isEnded = true));
  while (!isEnded) {
    piece = await input.next();
    if (piece === null) break;
    const part = piece;
    if (zlib.destroyed) return;
    written += part.length;
    await Promise.race([new Promise<void>((resolve) => void zlib.write(part, () => resolve())), isOver]);
    if (zlib.bytesWritten < written) break;
  }
  const left = written - zlib.bytesWritten;
  if (piece !== null && left > 0) input.unread(piece.subarray(piece.length - left));
  else if (piece === null && !isEnded) zlib.end();
}
