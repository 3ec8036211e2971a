import { createHash } from "node:crypto";
import { closeSync, ftruncateSync, mkdirSync, openSync, utimesSync, writeFileSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { makeNoise } from "./fixture.ts";

const DESCRIPTOR_AT = 32_768;
const BLOCK_BYTES = 2048;
/** A date in the past, the same for the same file: origins make entity tags of it. */
const DATE_SECONDS = 1_700_000_000;

/** A file below an origin. */
export interface PlacedFile {
  /** URL path. */
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
  readonly bytes: Buffer;
}

/** A deb of exactly `size` bytes: true in its structure, noise in its contents. */
export function makeDeb(seed: string, size: number): Buffer {
  const member = (name: string, length: number): Buffer =>
    Buffer.from(`${name.padEnd(16)}${"0".padEnd(12)}${"0".padEnd(6)}${"0".padEnd(6)}${"100644".padEnd(8)}${String(length).padEnd(10)}\`\n`);
  const head = Buffer.concat([
    Buffer.from("!<arch>\n"),
    member("debian-binary", 4),
    Buffer.from("2.0\n"),
    member("control.tar.xz", 100),
    makeNoise(`${seed}-control`, 100),
  ]);
  const data = size - head.length - 60;
  if (data % 2 !== 0) throw new Error(`Cannot make a deb of ${size} bytes: the size must be even`);
  return Buffer.concat([head, member("data.tar.xz", data), makeNoise(seed, data)]);
}

/** An image that states its own size, noise but for that. */
export function makeIso(seed: string, size: number): Buffer {
  const bytes = makeNoise(seed, size);
  bytes.set(makeDescriptor(size), DESCRIPTOR_AT);
  return bytes;
}

function makeDescriptor(size: number): Buffer {
  const descriptor = Buffer.alloc(BLOCK_BYTES);
  descriptor.write("\u0001CD001\u0001", 0, "latin1");
  descriptor.writeUInt32LE(Math.floor(size / BLOCK_BYTES), 80);
  descriptor.writeUInt32BE(Math.floor(size / BLOCK_BYTES), 84);
  descriptor.writeUInt16LE(BLOCK_BYTES, 128);
  descriptor.writeUInt16BE(BLOCK_BYTES, 130);
  return descriptor;
}

/** Writes `bytes` below `folder` under an old date. */
export function placeFile(folder: string, path: string, bytes: Uint8Array, seconds = DATE_SECONDS): PlacedFile {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, bytes);
  utimesSync(file, seconds, seconds);
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return { path, size: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex"), bytes: buffer };
}

/** An image of `size` bytes that takes no room: zeros, but for its descriptor and for each `marks` position, which holds its own number. */
export function placeSparseIso(folder: string, path: string, size: number, marks: readonly number[] = []): void {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  const handle = openSync(file, "w");
  ftruncateSync(handle, size);
  writeSync(handle, makeDescriptor(size), 0, BLOCK_BYTES, DESCRIPTOR_AT);
  for (const mark of marks) writeSync(handle, Buffer.from(String(mark)), 0, String(mark).length, mark);
  closeSync(handle);
  utimesSync(file, DATE_SECONDS, DATE_SECONDS);
}
