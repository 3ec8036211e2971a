import { AR_MAGIC } from "./deb.ts";
import { RPM_MAGIC } from "./rpm.ts";
import { XZ_MAGIC } from "./xz.ts";
import { isZstdMagic, ZSTD_MAGIC } from "./zstd.ts";

/** Content codings that this cache can undo (RFC 9110 §8.4.1, RFC 7932 §6, RFC 8878 §7.2). */
export type Coding = "gzip" | "deflate" | "br" | "zstd";

const CODINGS: ReadonlyMap<string, Coding> = new Map<string, Coding>([
  ["gzip", "gzip"],
  // RFC 9110 §8.4.1.3: "A recipient SHOULD consider "x-gzip" to be equivalent to "gzip"."
  ["x-gzip", "gzip"],
  ["deflate", "deflate"],
  ["br", "br"],
  ["zstd", "zstd"],
]);
/** More than this in one header is no coding that a server applied. */
const MAX_CODINGS = 3;

/**
 * The codings of a Content-Encoding, in the order in which they are to be undone: the last one applied first. Words that name no coding are left out, as
 * clients ignore them: object stores keep `aws-chunked`, `utf-8` or `none` there, which say nothing of the bytes.
 */
export function parseContentCodings(header: string | undefined): readonly Coding[] {
  const words = (header ?? "").split(",", MAX_CODINGS + 1);
  if (words.length > MAX_CODINGS) return [];
  return words.flatMap((word) => CODINGS.get(word.trim().toLowerCase()) ?? []).toReversed();
}

const GZIP = [0x1f, 0x8b];
const BZIP2 = [0x42, 0x5a, 0x68];
const LZIP = [0x4c, 0x5a, 0x49, 0x50];
const LZ4 = [0x04, 0x22, 0x4d, 0x18];
const ZIP = [0x50, 0x4b, 0x03, 0x04];
/** `\0ZCK1`, a zchunk file. */
const ZCHUNK = [0x00, 0x5a, 0x43, 0x4b, 0x31];
/** `ADB`, the container of apk v3. */
const ADB = [0x41, 0x44, 0x42];
const QCOW2 = [0x51, 0x46, 0x49, 0xfb];
const ANY_PACKED = [GZIP, BZIP2, XZ_MAGIC, ZSTD_MAGIC, LZ4];

/** How a file of this suffix begins. A pacman database may be packed in any way. */
const MAGIC_BY_SUFFIX: Readonly<Record<string, readonly (readonly number[])[]>> = {
  gz: [GZIP],
  tgz: [GZIP],
  bz2: [BZIP2],
  tbz2: [BZIP2],
  xz: [XZ_MAGIC],
  txz: [XZ_MAGIC],
  zst: [ZSTD_MAGIC],
  tzst: [ZSTD_MAGIC],
  lz: [LZIP],
  lz4: [LZ4],
  zip: [ZIP],
  whl: [ZIP],
  jar: [ZIP],
  zck: [ZCHUNK],
  db: ANY_PACKED,
  files: ANY_PACKED,
  img: ANY_PACKED,
  cpio: ANY_PACKED,
  apk: [GZIP, ADB],
  adb: [ADB],
  qcow2: [QCOW2],
};
/** Images for booting are packed without a suffix that says so; Apache's mod_mime_magic labels them by their first bytes. */
const BOOT_IMAGE = /^(?:initrd|initramfs|linux|vmlinu[xz])(?:[.-]|$)/;
/** Magics that no coding begins with: under any name they are the file's own. */
const NEVER_A_CODING = [RPM_MAGIC, AR_MAGIC, XZ_MAGIC];

/** Whether the bytes begin as a gzip member does (RFC 1952 §2.3.1). */
export function isGzip(bytes: Uint8Array): boolean {
  return GZIP.every((byte, at) => bytes[at] === byte);
}

/** The first bytes of a body by which `isLabelMistaken` decides. */
export const LABEL_SNIFF_BYTES = 8;

/**
 * Whether the first bytes show that a body is the file itself, whatever its Content-Encoding says: web servers' `AddEncoding` labels `Packages.gz` as
 * `x-gzip` and sends the very file. Either they are what a file of this name begins with, or they are not what the coding begins with.
 * @param path decoded path of the file.
 * @param codings as `parseContentCodings` returns them, at least one.
 * @param firstBytes the body's first LABEL_SNIFF_BYTES, or all of a shorter one.
 */
export function isLabelMistaken(path: string, codings: readonly Coding[], firstBytes: Uint8Array): boolean {
  if (firstBytes.length === 0) return true;
  const begins = (magic: readonly number[]): boolean => magic.every((byte, at) => firstBytes[at] === byte);
  if (magicsOf(path).some(begins) || NEVER_A_CODING.some(begins)) return true;
  if (codings[0] === "gzip") return !isGzip(firstBytes);
  if (codings[0] === "zstd") return !isZstdMagic(firstBytes.subarray(0, 4));
  // Brotli has no magic, and of DEFLATE (RFC 1950 §2.2) servers send the raw form too: only a trial shows whether they open.
  return false;
}

function magicsOf(path: string): readonly (readonly number[])[] {
  const name = path.slice(path.lastIndexOf("/") + 1);
  if (BOOT_IMAGE.test(name)) return ANY_PACKED;
  const suffix = name.slice(name.lastIndexOf(".") + 1).toLowerCase();
  return (Object.hasOwn(MAGIC_BY_SUFFIX, suffix) ? MAGIC_BY_SUFFIX[suffix] : undefined) ?? [];
}
