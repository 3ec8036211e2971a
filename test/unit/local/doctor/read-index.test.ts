import { gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { openBeginning } from "../../../../src/local/doctor/open-beginning.ts";
import { chooseFiles, filesOfIndex, indexOfRoot, type RepositoryKind } from "../../../../src/local/doctor/read-index.ts";
import { makeNoise } from "../../../support/fixture.ts";
import { apk, apkRepository } from "../../../support/miniature/apk.ts";
import { pack } from "../../../support/miniature/compress.ts";
import { pacmanDatabase, pacmanPackage } from "../../../support/miniature/pacman-database.ts";

const SHA256 = "0".repeat(64);
const RELEASE = `Suite: stable
SHA256:
 ${SHA256}   300000 main/binary-amd64/Packages.gz
 ${SHA256}    60000 contrib/binary-amd64/Packages.gz
 ${SHA256}       29 non-free/binary-amd64/Packages.gz
 ${SHA256}     1000 main/binary-arm64/Packages.gz
 ${SHA256}    50000 contrib/binary-amd64/Packages.xz
 ${SHA256}     2000 main/i18n/Translation-en.bz2
`;
const REPOMD = `<?xml version="1.0"?>
<repomd xmlns="http://linux.duke.edu/metadata/repo">
<data type="filelists"><location href="repodata/f-filelists.xml.gz"/></data>
<data type="primary"><checksum type="sha256">x</checksum><location href="repodata/p-primary.xml.zst"/></data>
</repomd>`;

/** As many paragraphs of an index as fill more than one block of a compressor; noise keeps them from vanishing. */
function packages(count: number): string {
  const stanza = (at: number): string =>
    `Package: p${at}\nFilename: pool/p/p${at}_1.0_all.deb\nSize: ${10_000 + at}\nSHA256: ${makeNoise(`p${at}`, 32).toString("hex")}\nDescription: noise\n`;
  return Array.from({ length: count }, (_, at) => stanza(at)).join("\n");
}

const filesOf = async (kind: RepositoryKind, beginning: Uint8Array) => filesOfIndex(kind, await openBeginning(beginning));

describe("the index of a root", () => {
  it("of deb is the smallest that has packages, of amd64 first", () => {
    expect(indexOfRoot("deb", RELEASE)).toBe("contrib/binary-amd64/Packages.xz");
  });
  it("of deb is none where only the open form is named, which archives do not have", () => {
    expect(indexOfRoot("deb", RELEASE.replaceAll(/\.(?:gz|xz)$/gm, ""))).toBeNull();
  });
  it("of rpm-md is primary, whatever stands before it", () => {
    expect(indexOfRoot("rpm-md", REPOMD)).toBe("repodata/p-primary.xml.zst");
  });
  it("of a page of HTML is none", () => {
    for (const kind of ["deb", "rpm-md"] as const) expect(indexOfRoot(kind, "<html>Please log in</html>")).toBeNull();
  });
});

describe("the files of an index", () => {
  const whole = packages(5_000);

  it.each([
    ["plain", Buffer.from(whole)],
    ["gzip", gzipSync(whole)],
    ["zstd", zstdCompressSync(whole)],
    ["xz", pack(".xz", Buffer.from(whole))],
  ] as const)("are read of the beginning alone, %s", async (_, bytes) => {
    const files = await filesOf("deb", bytes.subarray(0, 100_000));
    expect(files.length).toBeGreaterThan(500);
    expect(files.length).toBeLessThan(5_000);
    expect(files[1]).toEqual({ path: "pool/p/p1_1.0_all.deb", size: 10_001 });
  });

  it("of rpm-md leave out what lies on another server", async () => {
    const entry = (location: string): string => `<package type="rpm"><size package="900" installed="1"/><location ${location}/></package>`;
    const primary = entry('xml:base="https://other.example/" href="a.rpm"') + entry('href="Packages/b.rpm"');
    expect(await filesOf("rpm-md", gzipSync(primary))).toEqual([{ path: "Packages/b.rpm", size: 900 }]);
  });

  it("of pacman and apk are read out of their archives", async () => {
    const database = await pacmanDatabase("core", "core", [pacmanPackage("one", "seed"), pacmanPackage("two", "seed")]);
    const db = Object.entries(database).find(([path]) => path.endsWith("core.db"))?.[1];
    expect((await filesOf("pacman", Buffer.from(db ?? []))).map(({ path }) => path)).toEqual([
      "one-1.0-1-any.pkg.tar.zst",
      "two-1.0-1-any.pkg.tar.zst",
    ]);
    const entry = await apk("one", "1.0-r0", "seed");
    const repository = await apkRepository("main", "label", [entry]);
    const index = Object.entries(repository).find(([path]) => path.endsWith("APKINDEX.tar.gz"))?.[1];
    expect(await filesOf("apk", Buffer.from(index ?? []))).toEqual([{ path: "one-1.0-r0.apk", size: entry.bytes.length }]);
  });

  it("are none of what is no index, or cannot be decoded", async () => {
    for (const bytes of [Buffer.alloc(0), Buffer.from("<html></html>"), Buffer.from([0x1f, 0x8b, 8, 255, 1, 2]), makeNoise("x", 5_000)])
      for (const kind of ["deb", "rpm-md", "pacman", "apk"] as const) expect(await filesOf(kind, bytes)).toEqual([]);
  });

  it("are none of a few bytes that would become gigabytes", async () => {
    expect(await filesOf("deb", gzipSync(Buffer.alloc(100 * 1024 * 1024)))).toEqual([]);
  });
});

describe("the files to ask for", () => {
  const file = (path: string, size: number) => ({ path, size });

  it("are of a usual size, and the largest", () => {
    const [tiny, usual, other, large] = [file("tiny", 900), file("usual", 250_000), file("other", 90_000), file("large", 90_000_000)];
    expect(chooseFiles([large, tiny, other, usual])).toEqual({ file: usual, other, large });
  });
  it("are one file where there is one", () => {
    const one = file("one", 900);
    expect(chooseFiles([one])).toEqual({ file: one, other: one });
    expect(chooseFiles([])).toBeNull();
  });
});
