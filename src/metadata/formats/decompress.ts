import { isZstdMagic } from "../../verify/zstd.ts";
import { XZ_MAGIC } from "../../verify/xz.ts";
import { type ByteInput, createByteInput } from "./byte-input.ts";
import { bunzip2, BZIP2_MAGIC } from "./decompress-bzip2.ts";
import { GZIP_MAGIC, gunzip } from "./decompress-gzip.ts";
import { unxz } from "./decompress-xz.ts";
import { unzstd } from "./decompress-zstd.ts";
import { type Breathe, createPace, type Pace } from "./pace.ts";
import { MalformedError } from "./parsed-root.ts";

const SNIFFED_BYTES = 6;
/** The consumer gets no more in one turn. */
const MAX_PIECE_BYTES = 64 * 1024;

/**
 * How many times as long as packed an index may be once it is open. Real ones reach 25, those that name hundreds of builds of one package some 100. A
 * bomb reaches 1,000 with gzip, and far more with xz, zstd and bzip2.
 */
const MAX_RATIO = 200;
/** Below this no ratio is wrong. */
const RATIO_FREE_BYTES = 32 * 1024 * 1024;

/** What opening a file needs, and how far it may go. */
export interface DecompressOptions {
  /** Bytes of the open file: more are malformed. */
  readonly maxBytes: number;
  /** The module of npm's `xz-decompress` (decompress-xz.ts): the edge imports it, since it forbids to compile bytes. */
  readonly xz: WebAssembly.Module;
  readonly breathe: Breathe;
}

/** Whether a file of this name may be an index that can be opened. The bytes decide in the end; `.lzma`, `.lz4` and `.lz` are formats not known here. */
export function isReadable(path: string): boolean {
  return /\.(gz|xz|zst|bz2|xml)$|(^|\/)[^/.]+$/.test(path);
}

/**
 * The open bytes of a file packed by gzip, xz, zstd or bzip2, or the bytes of any other, as they flow. The file's first bytes decide what it is, not its
 * name. Breathes while it works, and opens some MB in one turn at most. Throws MalformedError for what does not decompress, and for what opens to more
 * than `maxBytes` or to more than MAX_RATIO times its own length (a decompression bomb).
 */
export async function* decompress(
  chunks: AsyncIterable<Uint8Array>,
  { maxBytes, xz, breathe }: DecompressOptions,
): AsyncGenerator<Uint8Array> {
  const pace = createPace(breathe);
  const input = createByteInput(chunks, pace);
  let total = 0;
  try {
    for await (const chunk of open(input, await input.peek(SNIFFED_BYTES), xz, pace)) {
      total += chunk.length;
      if (total > maxBytes) throw new MalformedError(`it holds more than ${maxBytes} bytes once decompressed`);
      if (total > Math.max(RATIO_FREE_BYTES, input.used * MAX_RATIO)) {
        throw new MalformedError(`it is more than ${MAX_RATIO} times as long once decompressed`);
      }
      for (let at = 0; at < chunk.length; at += MAX_PIECE_BYTES) {
        const piece = chunk.subarray(at, at + MAX_PIECE_BYTES);
        await pace(piece.length);
        yield piece;
      }
    }
  } finally {
    await input.close();
  }
}

function open(input: ByteInput, first: Uint8Array, xz: WebAssembly.Module, pace: Pace): AsyncGenerator<Uint8Array> {
  const begins = (magic: readonly number[]): boolean => magic.every((byte, at) => first[at] === byte);
  if (begins(GZIP_MAGIC)) return gunzip(input, pace);
  if (begins(XZ_MAGIC)) return unxz(input, xz);
  if (isZstdMagic(first.subarray(0, 4))) return unzstd(input, pace);
  if (begins(BZIP2_MAGIC)) return bunzip2(input, pace);
  return plain(input);
}

async function* plain(input: ByteInput): AsyncGenerator<Uint8Array> {
  for (let piece = await input.next(); piece !== null; piece = await input.next()) yield piece;
}
