import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { identityBody } from "../../src/upstream/identity-body.ts";
import type { ByteSource } from "../../src/upstream/upstream.ts";

/** The decoders are the runtime's own, and workerd's are others than Node's. */
const ENCODERS = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync, zstd: frameOf } as const;
const FILE = new TextEncoder().encode(Array.from({ length: 60_000 }, (_, line) => `${line} ${line % 7919}\n`).join(""));

const RAW_BLOCK_BYTES = 100_000;

/** A zstd frame of raw blocks, or of one RLE block for each run of zeros (RFC 8878 §3.1.1): workerd's own encoder fails. */
function frameOf(bytes: Uint8Array): Uint8Array {
  const isZero = bytes[0] === 0;
  const parts: Uint8Array[] = [Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x50)];
  for (let at = 0; at < bytes.length; at += RAW_BLOCK_BYTES) {
    const block = bytes.subarray(at, at + RAW_BLOCK_BYTES);
    const header = (block.length << 3) | (isZero ? 2 : 0) | (at + RAW_BLOCK_BYTES >= bytes.length ? 1 : 0);
    parts.push(Uint8Array.of(header & 255, (header >> 8) & 255, header >> 16), isZero ? Uint8Array.of(0) : block);
  }
  const frame = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => (frame.set(part, at), at + part.length), 0);
  return frame;
}

function sourceOf(bytes: Uint8Array): ByteSource {
  let at = 0;
  return {
    async read() {
      const part = bytes.slice(at, (at += 10_000));
      return part.length === 0 ? null : part;
    },
    cancel() {},
  };
}

async function readAll(packed: Uint8Array, contentEncoding: string): Promise<Uint8Array> {
  const representation = { contentEncoding, size: packed.length, upstream: "http://one.test" };
  const { source } = await identityBody(sourceOf(packed), { path: "InRelease", representation });
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for (let part = await source.read(); part !== null; part = await source.read()) parts.push(part.slice());
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

describe("a body that came encoded, in workerd", () => {
  for (const [coding, encode] of Object.entries(ENCODERS)) {
    it(`comes decoded: ${coding}`, async () => {
      expect(await readAll(new Uint8Array(encode(FILE)), coding)).toEqual(FILE);
    });
    it(`is refused where it ends early: ${coding}`, async () => {
      const packed = new Uint8Array(encode(FILE));
      await expect(readAll(packed.subarray(0, packed.length - 9), coding)).rejects.toThrow("Cannot decode");
    });
    it(`ends where it is a bomb: ${coding}`, async () => {
      await expect(readAll(new Uint8Array(encode(new Uint8Array(60 * 1024 * 1024))), coding)).rejects.toThrow("open to more than");
    });
  }
});
