import { beginsWith, broken, type Broken, type Walk, type WalkedFile } from "./walk.ts";

/** The first bytes of an xz stream. */
export const XZ_MAGIC = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00];

const SNIFFED_BYTES = 4;
const STREAM_HEADER_BYTES = 12;
const FOOTER_BYTES = 12;
const CRC32_BYTES = 4;
/** Bytes of a check, by its type; real files have CRC32 (1), CRC64 (4) or SHA-256 (10). */
const CHECK_BYTES = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];

/**
 * Walks a file of xz streams, from behind the first four bytes of its magic (https://tukaani.org/xz/xz-file-format.txt): the blocks, by the headers
 * of their LZMA2 chunks; the index, by the size that it must have for these blocks; and the footer. Nothing is decompressed and no check is
 * computed, so a changed bit is found only where it breaks the structure.
 */
export function* walkXz(file: WalkedFile): Walk {
  file.declare({ kind: "unknown" });
  for (let at = 0; ;) {
    const end = yield* walkStream(at);
    if (typeof end !== "number") return end;
    at = end;
    for (let isPadding = true; isPadding;) {
      const next = yield { at, size: SNIFFED_BYTES };
      if (next.length === 0) return { kind: "whole" };
      const isStart = next.length === SNIFFED_BYTES && beginsWith(XZ_MAGIC, next);
      isPadding = next.length === SNIFFED_BYTES && next.every((byte) => byte === 0);
      if (!isStart && !isPadding) return broken(`what follows the xz stream that ends at ${end} is neither a stream nor padding`);
      if (isPadding) at += SNIFFED_BYTES;
    }
  }
}

const CUT_STREAM = broken("the file ends inside an xz stream");

/** The offset at which the stream ends. */
function* walkStream(start: number): Walk<number | Broken> {
  const header = (yield { at: start + SNIFFED_BYTES, size: STREAM_HEADER_BYTES - SNIFFED_BYTES }).slice();
  if (header.length < STREAM_HEADER_BYTES - SNIFFED_BYTES) return CUT_STREAM;
  const [y, nul, flags = 0, check = 0] = header;
  if (y !== XZ_MAGIC[4] || nul !== XZ_MAGIC[5] || flags !== 0 || check >= CHECK_BYTES.length)
    return broken(`the xz stream at ${start} has a malformed header`);
  const checkBytes = CHECK_BYTES[check] ?? 0;
  let at = start + STREAM_HEADER_BYTES;
  let [blocks, recordBytes] = [0, 0];
  for (;;) {
    const [headerSize] = yield { at, size: 1 };
    if (headerSize === undefined) return CUT_STREAM;
    // A block begins with its size, which is never zero; the index begins with zero.
    if (headerSize === 0) break;
    const headerBytes = (headerSize + 1) * 4;
    const packed = yield* walkLzma2(at + headerBytes);
    if ("reason" in packed) return packed;
    const unpadded = packed.end - at + checkBytes;
    blocks++;
    recordBytes += integerBytes(unpadded) + integerBytes(packed.contentBytes);
    at += roundUp(packed.end - at) + checkBytes;
  }
  const indexBytes = roundUp(1 + integerBytes(blocks) + recordBytes) + CRC32_BYTES;
  at += indexBytes;
  const footer = yield { at, size: FOOTER_BYTES };
  if (footer.length < FOOTER_BYTES) return CUT_STREAM;
  const view = new DataView(footer.buffer, footer.byteOffset, FOOTER_BYTES);
  const fits = view.getUint32(4, true) === indexBytes / 4 - 1 && footer[8] === flags && footer[9] === check;
  if (!fits || footer[10] !== 0x59 || footer[11] !== 0x5a) return broken(`the xz stream at ${start} has no footer at ${at}`);
  return at + FOOTER_BYTES;
}

/** Walks the chunks up to the end marker; LZMA2 is the last filter of every xz block. */
function* walkLzma2(start: number): Walk<{ readonly end: number; readonly contentBytes: number } | Broken> {
  let [at, contentBytes] = [start, 0];
  for (;;) {
    const [control] = yield { at, size: 1 };
    if (control === undefined) return CUT_STREAM;
    at++;
    if (control === 0) return { end: at, contentBytes };
    if (control > 2 && control < 0x80) return broken(`the LZMA2 chunk at ${at - 1} has a control byte that does not exist`);
    const isPacked = control >= 0x80;
    const sizes = yield { at, size: isPacked ? 4 : 2 };
    if (sizes.length < (isPacked ? 4 : 2)) return CUT_STREAM;
    const view = new DataView(sizes.buffer, sizes.byteOffset, sizes.length);
    const size = view.getUint16(0) + 1 + (isPacked ? (control & 0x1f) << 16 : 0);
    contentBytes += size;
    // Chunks that set new properties have one byte more in their header.
    at += sizes.length + (isPacked ? view.getUint16(2) + 1 + (control >= 0xc0 ? 1 : 0) : size);
  }
}

/** Bytes of a multibyte integer (§1.2), which has seven bits in each byte. */
function integerBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes++;
  return bytes;
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / 4) * 4;
}
