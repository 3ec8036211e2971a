import { execFileSync } from "node:child_process";
import { gzipSync, zstdCompressSync } from "node:zlib";

const MIB = 1024 * 1024;

/** `unit` over and over behind `start`, packed piece by piece. */
function bomb(start: string, unit: string, bytes: number, pack: (piece: Buffer) => Buffer): Buffer {
  const piece = pack(Buffer.from(unit.repeat(Math.floor((16 * MIB) / unit.length))));
  return Buffer.concat([pack(Buffer.from(start)), ...Array.from({ length: Math.ceil(bytes / (16 * MIB)) }, () => piece)]);
}

const pipe =
  (command: string, ...args: readonly string[]) =>
  (input: Buffer): Buffer =>
    execFileSync(command, args, { input, maxBuffer: 256 * MIB });

/** primary.xml files, and what is said of each. */
export const PRIMARIES: Readonly<Record<string, () => Buffer>> = {
  "elements.gz": () => bomb("<metadata>", "<a/>", 900 * MIB, gzipSync),
  "blanks.gz": () => bomb("<metadata>", " ", 900 * MIB, gzipSync),
  "blanks.zst": () => bomb("<metadata>", " ", 900 * MIB, zstdCompressSync),
  "blanks.xz": () => bomb("<metadata>", " ", 900 * MIB, pipe("xz", "-0c")),
  "blanks.bz2": () => bomb("<metadata>", " ", 900 * MIB, pipe("bzip2", "-c")),
  "members.gz": () => Buffer.concat(Array.from({ length: 300_000 }, () => gzipSync(""))),
  "attributes.gz": () => gzipSync(`<metadata>${`<a ${'b="1" '.repeat(60)}/>`.repeat(100_000)}</metadata>`),
  "nested.gz": () => gzipSync(`<metadata>${"<a>".repeat(10_000_000)}`),
  "token.gz": () => gzipSync(`<metadata><a b="${"x".repeat(64 * MIB)}`),
  "entities.gz": () => gzipSync(`<metadata>${"&#65;&amp;&x;".repeat(3_000_000)}</metadata>`),
  "packages.gz": () => gzipSync(`<metadata>${"<package><location href='a'/></package>".repeat(500_000)}</metadata>`),
};

/** Roots that are slow to read themselves, and indexes that are roots. */
export const OTHERS: Readonly<Record<string, () => Buffer>> = {
  "armor/InRelease": () =>
    Buffer.from(`-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nOrigin: x\n-----BEGIN PGP SIGNATURE-----\n${"\n".repeat(4_000_000)}`),
  "colons/InRelease": () => Buffer.from(`-----BEGIN PGP SIGNATURE-----\n${"a:b\n".repeat(300_000)}`),
  "blanks/Release": () => Buffer.from(`Origin:${" ".repeat(7 * MIB)}x\nSHA256:\n`),
  "elements/repodata/repomd.xml": () => Buffer.from(`<repomd>${"<a/>".repeat(1_900_000)}</repomd>`),
  "os/blanks.db": () => bomb("", "\0", 900 * MIB, gzipSync),
  "apk/APKINDEX.tar.gz": () => bomb("", " ", 900 * MIB, gzipSync),
  "lone/Packages.gz": () => bomb("Package: a\n", " ", 900 * MIB, gzipSync),
  "lines/Packages": () => Buffer.from("Package: a\nFilename: a\n\n".repeat(300_000)),
};
