import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { type Coding, isLabelMistaken, parseContentCodings } from "../../../src/verify/content-coding.ts";

describe("the codings of a Content-Encoding", () => {
  it.each<[string | undefined, readonly Coding[]]>([
    [undefined, []],
    ["", []],
    ["identity", []],
    ["gzip", ["gzip"]],
    [" X-GZIP ", ["gzip"]],
    ["zstd", ["zstd"]],
    ["br, gzip", ["gzip", "br"]],
    ["aws-chunked,gzip", ["gzip"]],
    ["aws-chunked", []],
    ["utf-8", []],
    ["compress", []],
    ["gzip, gzip, gzip, gzip", []],
    [Array.from({ length: 100_000 }, () => "gzip").join(","), []],
  ])("of %j", (header, codings) => {
    expect(parseContentCodings(header)).toEqual(codings);
  });
});

const TEXT = Buffer.from("Package: a\n".repeat(50));
const [RPM, DEB, XZ, BZIP2] = [
  Buffer.from("edabeedb03000000", "hex"),
  Buffer.from("!<arch>\n"),
  Buffer.from("fd377a585a0000ff", "hex"),
  Buffer.from("BZh91AY&"),
];

describe("a label", () => {
  it.each<[string, Coding, Uint8Array, string]>([
    ["dists/a/Packages.gz", "gzip", gzipSync(TEXT), "AddEncoding of a web server"],
    ["repodata/ab-primary.xml.gz", "gzip", gzipSync(TEXT), "the same"],
    ["x.tgz", "gzip", gzipSync(TEXT), "the same"],
    ["core.db", "gzip", gzipSync(TEXT), "a pacman database, packed as it likes"],
    ["core.files", "zstd", zstdCompressSync(TEXT), "a pacman database, packed as it likes"],
    ["a.apk", "gzip", gzipSync(TEXT), "an apk is gzip itself"],
    ["Packages.zst", "zstd", zstdCompressSync(TEXT), "zstd names"],
    ["Packages.xz", "br", XZ, "xz names"],
    ["Packages.bz2", "br", BZIP2, "bzip2 names"],
    ["pool/a.rpm", "br", RPM, "an rpm begins with no coding"],
    ["by-hash/SHA256/abcd", "deflate", XZ, "xz is no coding, under any name"],
    ["pool/a.deb", "gzip", DEB, "no gzip at all"],
    ["a.iso", "gzip", Buffer.alloc(64), "no gzip at all"],
    ["Release", "gzip", TEXT, "no gzip at all"],
    ["Release", "zstd", gzipSync(TEXT), "no zstd at all"],
    ["images/pxeboot/initrd.img", "gzip", gzipSync(TEXT), "what mod_mime_magic says of it"],
    ["netboot/initrd", "gzip", gzipSync(TEXT), "the same"],
    ["x.gz", "gzip", new Uint8Array(0), "nothing came"],
  ])("of %s as %s is a mistake: %j", (path, coding, bytes) => {
    expect(isLabelMistaken(path, [coding], bytes.subarray(0, 8))).toBe(true);
  });

  it.each<[string, Coding, Uint8Array]>([
    ["dists/a/InRelease", "gzip", gzipSync(TEXT)],
    ["repodata/repomd.xml", "br", brotliCompressSync(TEXT)],
    ["dists/a/Packages", "zstd", zstdCompressSync(TEXT)],
    ["pool/a.deb", "gzip", gzipSync(DEB)],
    ["pool/a.rpm", "zstd", zstdCompressSync(RPM)],
    ["Packages.xz", "gzip", gzipSync(XZ)],
    ["listing/", "deflate", deflateSync(TEXT)],
    ["toString", "gzip", gzipSync(TEXT)],
    ["a.constructor", "gzip", gzipSync(TEXT)],
  ])("of %s as %s may be right", (path, coding, bytes) => {
    expect(isLabelMistaken(path, [coding], bytes.subarray(0, 8))).toBe(false);
  });
});
