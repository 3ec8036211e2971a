// workerd has zstd in node:zlib alone (nodejs_compat): its DecompressionStream takes gzip and deflate.
import { createZstdDecompress } from "node:zlib";
import { ZSTD_MAGIC } from "../../verify/zstd.ts";
import { concatBytes } from "../../verify/concat-bytes.ts";
import { MalformedError } from "./parsed-root.ts";

const MAGIC_BYTES = 4;

/**
 * Whether an index of this name can be read: gzip, zstd or not compressed. Not xz: its decoder is WASM that is compiled from bytes, which the edge
 * forbids.
 */
export function isReadable(path: string): boolean {
  return /\.(gz|zst|xml)$|(^|\/)[^/.]+$/.test(path);
}

/**
 * The decompressed bytes of a gzip or zstd file, or the bytes of any other, as they flow. The file's first bytes decide what it is, not its name.
 * Throws MalformedError for what does not decompress, and for more than `maxBytes` of output (a decompression bomb).
 */
export async function* decompress(chunks: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]();
  let first = new Uint8Array();
  while (first.length < MAGIC_BYTES) {
    const next = await iterator.next();
    if (next.done === true) break;
    first = concatBytes(first, next.value);
  }
  const rest = resume(first, iterator);
  const isGzip = first[0] === 0x1f && first[1] === 0x8b;
  // A skippable frame is not taken for zstd: the decoder ends behind it, as if the file were empty.
  const isZstd = ZSTD_MAGIC.every((byte, at) => byte === first[at]);
  const flow = isGzip ? gunzip(rest) : isZstd ? unzstd(rest) : rest;
  let total = 0;
  try {
    for await (const chunk of flow) {
      total += chunk.length;
      if (total > maxBytes) throw new MalformedError(`it holds more than ${maxBytes} bytes once decompressed`);
      yield chunk;
    }
  } finally {
    await iterator.return?.();
  }
}

async function* resume(first: Uint8Array, iterator: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield first;
  for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
}

function gunzip(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  return decoding(toStream(chunks).pipeThrough(new DecompressionStream("gzip")));
}

async function* unzstd(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const zstd = createZstdDecompress();
  const fed = feed(chunks, zstd);
  try {
    yield* decoding(zstd);
    await fed;
  } finally {
    zstd.destroy();
  }
}

async function feed(chunks: AsyncIterable<Uint8Array>, zstd: ReturnType<typeof createZstdDecompress>): Promise<void> {
  try {
    for await (const chunk of chunks) {
      if (zstd.destroyed) return;
      if (!zstd.write(chunk)) await new Promise<void>((resolve) => zstd.once("drain", resolve).once("close", resolve));
    }
    zstd.end();
  } catch (error) {
    zstd.destroy(error instanceof Error ? error : new Error(String(error)));
  }
}

/** What a decoder gives. */
async function* decoding(decoder: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* decoder;
  } catch (error) {
    throw new MalformedError(`it does not decompress: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** The chunks as a stream, which reads none of them before it is read itself. */
export function toStream(chunks: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next = await iterator.next();
      if (next.done === true) controller.close();
      else controller.enqueue(next.value);
    },
    async cancel() {
      await iterator.return?.();
    },
  });
}
