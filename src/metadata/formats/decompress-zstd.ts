import { isZstdMagic, ZSTD_MAGIC } from "../../verify/zstd.ts";
import { type ByteInput, beginPart } from "./byte-input.ts";
import type { Pace } from "./pace.ts";
import { MalformedError } from "./parsed-root.ts";
import { decodeZstdFrames } from "./open-zlib.ts";

const MAGIC_BYTES = 4;
const SKIPPABLE_HEADER_BYTES = 8;

/** Opens all frames of a zstd file (RFC 8878), and passes over the skippable ones. Throws MalformedError. */
export async function* unzstd(input: ByteInput, pace: Pace): AsyncGenerator<Uint8Array> {
  for (let frames = 0; ; frames++) {
    const magic = await input.peek(MAGIC_BYTES);
    if (magic.length === 0) return;
    await beginPart(frames, "zstd frames", input, pace);
    if (ZSTD_MAGIC.every((byte, at) => magic[at] === byte)) yield* decodeZstdFrames(input);
    else if (isZstdMagic(magic)) await skipFrame(input);
    else throw new MalformedError("it does not decompress: what follows a zstd frame is none");
  }
}

/** RFC 8878 §3.1.2: a magic, a length, and as many bytes to skip. */
async function skipFrame(input: ByteInput): Promise<void> {
  const header = await input.peek(SKIPPABLE_HEADER_BYTES);
  const length = header.length < SKIPPABLE_HEADER_BYTES ? 0 : new DataView(header.buffer, header.byteOffset).getUint32(4, true);
  if (!(await input.skip(SKIPPABLE_HEADER_BYTES + length))) throw new MalformedError("it does not decompress: it is cut off");
}
