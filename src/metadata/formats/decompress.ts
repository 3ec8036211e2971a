// workerd has zstd only here (nodejs_compat); DecompressionStream knows gzip and deflate.
import { createZstdDecompress } from "node:zlib";
import { MalformedError } from "./parsed-root.ts";

/** Compressions whose index can be read. xz is not among them: it needs WASM made from bytes, which the edge forbids. */
const READABLE = [".gz", ".zst"] as const;

const MAGIC_BYTES = 4;

/** Whether an index of this name can be read: gzip, zstd or not compressed. */
export function isReadable(path: string): boolean {
  return READABLE.some((ending) => path.endsWith(ending)) || /(^|\/)[^/.]+$|\.xml$/.test(path);
}

/**
 * The decompressed bytes as they flow, `maxBytes` at most: a bomb ends there. Throws MalformedError for what does not decompress.
 * The compression is told by the file's own first bytes, not by its name.
 */
export async function* decompress(chunks: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]();
  let first = new Uint8Array();
  while (first.length < MAGIC_BYTES) {
    const next = await iterator.next();
    if (next.done === true) break;
    first = concat(first, next.value);
  }
  const rest = resume(first, iterator);
  const flow = isGzip(first) ? gunzip(rest) : isZstd(first) ? unzstd(rest) : rest;
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

function concat(one: Uint8Array, other: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
}

function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

function isZstd(bytes: Uint8Array): boolean {
  return bytes[0] === 0x28 && bytes[1] === 0xb5 && bytes[2] === 0x2f && bytes[3] === 0xfd;
}

async function* resume(first: Uint8Array, iterator: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield first;
  for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
}

async function* gunzip(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const stream = toStream(chunks).pipeThrough(new DecompressionStream("gzip"));
  const reader = stream.getReader();
  try {
    for (let next = await decoding(() => reader.read()); !next.done; next = await decoding(() => reader.read())) yield next.value;
  } finally {
    await reader.cancel().catch(() => {});
  }
}

async function* unzstd(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const zstd = createZstdDecompress();
  const fed = feed(chunks, zstd);
  const out = zstd[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  try {
    for (let next = await decoding(() => out.next()); next.done !== true; next = await decoding(() => out.next())) yield next.value;
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

async function decoding<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw new MalformedError(`it does not decompress: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Nothing is read before the stream is. */
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
