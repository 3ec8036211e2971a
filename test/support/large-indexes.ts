import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { makeNoise } from "./fixture.ts";
import { mustRun } from "./run-tool.ts";

/** A package that an index names, with a digest that no file has. */
export interface NamedFile {
  readonly path: string;
  readonly size: number;
}

const LISTS = "/var/lib/apt/lists";

/** Writes an rpm-md repository of `count` packages as Fedora's looks: about 2.7 KB of XML each, and filelists of 40 MB. No package is there. */
export function writeLargeRpmRepository(folder: string, count: number, form: "gz" | "zst"): NamedFile {
  const parts = [`<?xml version="1.0"?>\n<metadata xmlns="http://linux.duke.edu/metadata/common" packages="${count}">`];
  for (let n = 0; n < count; n++) parts.push(formatPackage(n));
  const open = Buffer.from(`${parts.join("\n")}</metadata>\n`);
  const primary = form === "gz" ? gzipSync(open) : zstdCompressSync(open);
  const filelists = makeNoise("filelists", 40_000_000);
  const items = [
    ["primary", primary, open.length],
    ["filelists", filelists, 10 * filelists.length],
  ] as const;
  const data = items.map(([type, bytes, openSize]) => {
    const href = `repodata/${hex(bytes)}-${type}.xml.${form}`;
    write(folder, href, bytes);
    return `<data type="${type}"><checksum type="sha256">${hex(bytes)}</checksum><location href="${href}"/><timestamp>1767000000</timestamp><size>${bytes.length}</size><open-size>${openSize}</open-size></data>`;
  });
  const repomd = `<repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>1767000000</revision>${data.join("")}</repomd>\n`;
  write(folder, "repodata/repomd.xml", Buffer.from(repomd));
  return { path: rpmPath(count - 1), size: 4000 + count - 1 };
}

function formatPackage(n: number): string {
  const digest = hex(String(n));
  const entries = Array.from(
    { length: 14 },
    (_, i) => `<rpm:entry name="lib${digest.slice(i, i + 9)}.so.${i}()(64bit)" flags="EQ" epoch="0" ver="1.${n}" rel="3"/>`,
  );
  return `<package type="rpm"><name>package-${n}</name><arch>x86_64</arch><version epoch="0" ver="1.${n}" rel="3"/>
<checksum type="sha256" pkgid="YES">${digest}</checksum><summary>The package ${n} of many &amp; more</summary>
<description>${`It does what ${digest.slice(0, 12)} does. `.repeat(14)}</description><packager>Nobody</packager><url>https://example.com/${n}</url>
<time file="1700000000" build="1700000000"/><size package="${4000 + n}" installed="9000" archive="9000"/><location href="${rpmPath(n)}"/>
<format><rpm:license>MIT</rpm:license><rpm:provides>${entries.slice(0, 4).join("")}</rpm:provides><rpm:requires>${entries.slice(4).join("")}</rpm:requires>
<file>/usr/bin/package-${n}</file></format></package>`;
}

function rpmPath(n: number): string {
  return `Packages/p/package-${n}-1.${n}-3.x86_64.rpm`;
}

/** Whether this machine's apt has fetched bookworm's lists. */
export function findDebianLists(): { readonly release: string; readonly packages: string } | null {
  const names = readNames();
  const [release, packages] = [/_debian_dists_bookworm_InRelease$/, /_debian_dists_bookworm_main_binary-amd64_Packages(\.\w+)?$/].map(
    (pattern) => names.find((name) => pattern.test(name)),
  );
  return release === undefined || packages === undefined ? null : { release: join(LISTS, release), packages: join(LISTS, packages) };
}

/** Writes bookworm's own InRelease and its Packages under the digest by which that names it. Gives a package far behind and how many there are. */
export async function writeDebianLists(folder: string): Promise<NamedFile & { readonly index: string; readonly count: number }> {
  const lists = findDebianLists();
  if (lists === null) throw new Error("Cannot find bookworm's lists: apt-get update fetches them");
  const text = await mustRun("/usr/lib/apt/apt-helper", ["cat-file", lists.packages]);
  const bytes = Buffer.from(text);
  const index = `dists/bookworm/main/binary-amd64/by-hash/SHA256/${hex(bytes)}`;
  write(folder, "dists/bookworm/InRelease", readFileSync(lists.release));
  write(folder, index, bytes);
  const found = [...text.matchAll(/^Filename: (.*)\nSize: (\d+)$/gm)];
  // Debs for tests are made in even sizes only.
  const [, path = "", size = "0"] = found.findLast(([, , length]) => Number(length) % 2 === 0) ?? [];
  return { index, count: found.length, path, size: Number(size) };
}

function readNames(): readonly string[] {
  try {
    return readdirSync(LISTS);
  } catch {
    return [];
  }
}

function hex(content: string | Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}

function write(folder: string, path: string, bytes: Buffer): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), bytes);
}
