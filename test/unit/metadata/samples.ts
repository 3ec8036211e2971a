import { createHash } from "node:crypto";
import { packTar } from "modern-tar";
import type { NamedPackage } from "../../../src/metadata/formats/named-package.ts";

/** Makers of small repositories for the tests of src/metadata. */
export function sha256(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

export interface ReleaseSample {
  /** Unix seconds. */
  readonly date: number;
  readonly validUntil?: number;
  readonly byHash?: boolean;
  /** Path below the suite → content. */
  readonly files: Readonly<Record<string, string | Uint8Array>>;
}

export function release({ date, validUntil, byHash, files }: ReleaseSample): string {
  const lines = [`Origin: Test`, `Date: ${new Date(date * 1000).toUTCString()}`];
  if (validUntil !== undefined) lines.push(`Valid-Until: ${new Date(validUntil * 1000).toUTCString()}`);
  if (byHash === true) lines.push("Acquire-By-Hash: yes");
  lines.push("SHA256:");
  for (const [path, content] of Object.entries(files)) lines.push(` ${sha256(content)} ${content.length} ${path}`);
  return `${lines.join("\n")}\n`;
}

/** Clearsigned in form only: its signature packet is not one that the mirror can compare, as with an unknown version. */
export function clearsigned(text: string): string {
  return `-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n${text.replaceAll(/^-/gm, "- -")}-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n`;
}

export interface RepomdSample {
  /** Unix seconds. */
  readonly revision: number;
  /** type → [href, content] */
  readonly data: Readonly<Record<string, readonly [href: string, content: string | Uint8Array]>>;
}

export function repomd({ revision, data }: RepomdSample): string {
  const items = Object.entries(data).map(
    ([type, [href, content]]) => `<data type="${type}"><checksum type="sha256">${sha256(content)}</checksum>
<location href="${href}"/><timestamp>${revision}</timestamp><size>${content.length}</size></data>`,
  );
  return `<?xml version="1.0" encoding="UTF-8"?>
<repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>${revision}</revision>${items.join("\n")}</repomd>\n`;
}

/** Path → content of the package it names. */
export function primary(rpms: Readonly<Record<string, string>>): string {
  const items = Object.entries(rpms).map(
    ([path, content]) => `<package type="rpm"><name>n</name><checksum type="sha256" pkgid="YES">${sha256(content)}</checksum>
<description>a &lt;b&gt; &amp; c</description><size package="${content.length}" installed="9" archive="9"/><location href="${path}"/>
<format><rpm:provides><rpm:entry name="x"/></rpm:provides><file>/usr/bin/x</file></format></package>`,
  );
  return `<?xml version="1.0" encoding="UTF-8"?>
<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="${items.length}">${items.join("\n")}</metadata>\n`;
}

export function packages(files: Readonly<Record<string, string>>): string {
  return Object.entries(files)
    .map(
      ([path, content]) =>
        `Package: p\nVersion: 1\nFilename: ${path}\nSize: ${content.length}\nSHA256: ${sha256(content)}\nDescription: d\n more: x\n`,
    )
    .join("\n");
}

/** A pacman database, not compressed: file name → content of the package. */
export function pacmanDatabase(files: Readonly<Record<string, string>>): Promise<Uint8Array> {
  return packTar(
    Object.entries(files).flatMap(([name, content], index) => [
      { header: { name: `p${index}-1-1/`, type: "directory", size: 0 } },
      pacmanDesc(`p${index}-1-1/desc`, { FILENAME: name, NAME: "p", CSIZE: String(content.length), SHA256SUM: sha256(content), DESC: "d" }),
    ]),
  );
}

/** An entry of such an archive. */
export function pacmanDesc(name: string, fields: Readonly<Record<string, string>>) {
  const body = Object.entries(fields)
    .map(([field, value]) => `%${field}%\n${value}\n\n`)
    .join("");
  return { header: { name, size: new TextEncoder().encode(body).length }, body };
}

/** What most tests compare of a package. */
export interface Brief {
  readonly path: string;
  readonly size: number | undefined;
  readonly sha256: string | undefined;
}

export function brief({ location, size, digests }: NamedPackage): Brief {
  return { path: location, size, sha256: digests.find(({ algorithm }) => algorithm === "sha256")?.digest };
}

export async function* chunked(content: string | Uint8Array, size = 64): AsyncGenerator<Uint8Array> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** A version 4 signature packet (RFC 9580 §5.2.3) with the right first two bytes of the hash and nothing after them: no key is needed to make it. */
export function signatureInForm(document: string): Uint8Array {
  const hashed = Uint8Array.of(4, 0, 22, 8, 0, 0);
  const hash = createHash("sha256")
    .update(document)
    .update(hashed)
    .update(Uint8Array.of(4, 0xff, 0, 0, 0, hashed.length))
    .digest();
  const body = Uint8Array.of(...hashed, 0, 0, hash[0] ?? 0, hash[1] ?? 0);
  return Uint8Array.of(0x88, body.length, ...body);
}
