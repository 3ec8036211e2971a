import { type ByteInput, beginPart } from "./byte-input.ts";
import type { Pace } from "./pace.ts";
import { MalformedError } from "./parsed-root.ts";
import { inflateMember, updateCrc32 } from "./open-zlib.ts";

/** The first bytes of a gzip member with deflate, the only method there is. */
export const GZIP_MAGIC = [0x1f, 0x8b, 0x08];

const HEADER_BYTES = 10;
const TRAILER_BYTES = 8;
/** Flags (RFC 1952 §2.3.1): which optional fields the header has. */
const [HAS_HEADER_CRC, HAS_EXTRA, HAS_NAME, HAS_COMMENT] = [0x02, 0x04, 0x08, 0x10];
const MAX_TEXT_BYTES = 64 * 1024;

/**
 * Opens a gzip file (RFC 1952): all its members, of which there are several where files were put together, as apk and pigz do. What follows the last
 * member and is none is passed over, as gzip(1) and zlib's gzread do. Throws MalformedError.
 */
export async function* gunzip(input: ByteInput, pace: Pace): AsyncGenerator<Uint8Array> {
  for (let members = 0; ; members++) {
    const magic = await input.peek(GZIP_MAGIC.length);
    if (!GZIP_MAGIC.every((byte, at) => magic[at] === byte)) return;
    await beginPart(members, "gzip members", input, pace);
    await skipHeader(input);
    let [crc, size] = [0, 0];
    for await (const chunk of inflateMember(input)) {
      crc = updateCrc32(chunk, crc);
      size += chunk.length;
      yield chunk;
    }
    const trailer = await input.peek(TRAILER_BYTES);
    if (!(await input.skip(TRAILER_BYTES))) throw new MalformedError("it does not decompress: it is cut off");
    const view = new DataView(trailer.buffer, trailer.byteOffset);
    if (view.getUint32(0, true) !== crc || view.getUint32(4, true) !== size % 2 ** 32) {
      throw new MalformedError("it does not decompress: its checksum is another");
    }
  }
}

async function skipHeader(input: ByteInput): Promise<void> {
  const flags = (await input.peek(HEADER_BYTES))[3] ?? 0;
  let isWhole = await input.skip(HEADER_BYTES);
  if ((flags & HAS_EXTRA) !== 0) {
    const [low = 0, high = 0] = await input.peek(2);
    isWhole &&= await input.skip(2 + high * 256 + low);
  }
  for (const flag of [HAS_NAME, HAS_COMMENT]) if ((flags & flag) !== 0) isWhole &&= await skipText(input);
  if ((flags & HAS_HEADER_CRC) !== 0) isWhole &&= await input.skip(2);
  if (!isWhole) throw new MalformedError("it does not decompress: it is cut off");
}

/** Passes over a text that ends with a zero. */
async function skipText(input: ByteInput): Promise<boolean> {
  for (let seen = 0; seen < MAX_TEXT_BYTES;) {
    const piece = await input.next();
    if (piece === null) return false;
    const end = piece.indexOf(0);
    if (end >= 0) {
      input.unread(piece.subarray(end + 1));
      return true;
    }
    seen += piece.length;
  }
  return false;
}
