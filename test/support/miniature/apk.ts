import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { packTar } from "modern-tar";
import { makeNoise } from "../fixture.ts";
import type { Files } from "./deb-archive.ts";

/** The same bytes at any time of day. */
const UNDATED = { mtime: new Date(0) };

export interface ApkEntry {
  readonly name: string;
  readonly version: string;
  readonly bytes: Buffer;
  /** `C:` of the index: `Q1` and the SHA-1 of the control stream in base64. */
  readonly checksum: string;
}

/** An APKv2 package: two gzip streams, control (.PKGINFO with `datahash`) and data. */
export async function apk(name: string, version: string, seed: string, size = 12_000): Promise<ApkEntry> {
  const path = `usr/share/${name}/data`;
  const noise = makeNoise(seed, size);
  const data = gzipSync(await packTar([{ header: { ...UNDATED, name: path, size, type: "file" }, body: noise }]), { level: 1 });
  const datahash = createHash("sha256").update(data).digest("hex");
  const info = Buffer.from(`pkgname = ${name}\npkgver = ${version}\narch = x86_64\nsize = ${size}\ndatahash = ${datahash}\n`);
  const control = gzipSync(
    endless(await packTar([{ header: { ...UNDATED, name: ".PKGINFO", size: info.length, type: "file" }, body: info }])),
  );
  const checksum = `Q1${createHash("sha1").update(control).digest("base64")}`;
  return { name, version, bytes: Buffer.concat([control, data]), checksum };
}

/** All files of an Alpine repository at `folder`, APKINDEX.tar.gz and packages. `label`: the index's description, which changes with each generation. */
export async function apkRepository(folder: string, label: string, entries: readonly ApkEntry[]): Promise<Files> {
  const text = entries.map(
    ({ name, version, bytes, checksum }) =>
      `C:${checksum}\nP:${name}\nV:${version}\nA:x86_64\nS:${bytes.length}\nI:20000\nT:noise\nU:http://x\nL:MIT\n\n`,
  );
  const index = Buffer.from(text.join(""));
  const description = Buffer.from(label);
  const signature = Buffer.from(`signature of ${label}`);
  const signed = await packTar([
    { header: { ...UNDATED, name: ".SIGN.RSA.test.rsa.pub", size: signature.length, type: "file" }, body: signature },
  ]);
  const tar = await packTar([
    { header: { ...UNDATED, name: "DESCRIPTION", size: description.length, type: "file" }, body: description },
    { header: { ...UNDATED, name: "APKINDEX", size: index.length, type: "file" }, body: index },
  ]);
  return {
    [`${folder}/APKINDEX.tar.gz`]: Buffer.concat([gzipSync(endless(signed)), gzipSync(tar)]),
    ...Object.fromEntries(entries.map(({ name, version, bytes }) => [`${folder}/${name}-${version}.apk`, bytes])),
  };
}

/** A tar without the two blocks of zeros at its end: what comes before another stream has none (apk-tools, `abuild-tar --cut`). */
function endless(tar: Uint8Array): Uint8Array {
  let end = tar.length;
  while (end >= 512 && tar.subarray(end - 512, end).every((byte) => byte === 0)) end -= 512;
  return tar.subarray(0, end);
}
