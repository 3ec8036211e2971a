import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { packTar } from "modern-tar";
import { afterAll, describe, expect, test } from "vitest";
import type { IndexReport, NamedPackage } from "../../../../src/metadata/formats/named-package.ts";
import { parseIndex } from "../../../../src/metadata/formats/parse-index.ts";
import { resolveLocation } from "../../../../src/metadata/formats/resolve-location.ts";
import { makeApk } from "../../../support/apk-package.ts";
import { DECODERS } from "../../../support/decompressing.ts";
import { sha256 as fileSha256 } from "../../../support/fixture.ts";
import { requireTools } from "../../../support/run-tool.ts";
import { chunked } from "../samples.ts";

type Kind = Parameters<typeof parseIndex>[0];

async function read(
  kind: Kind,
  content: string | Uint8Array,
  chunkBytes = 65_536,
): Promise<{ packages: NamedPackage[]; report: IndexReport }> {
  const packages: NamedPackage[] = [];
  const report = await parseIndex(kind, chunked(content, chunkBytes), DECODERS, (named) => packages.push(named));
  return { packages, report };
}

const [A, B, C, D] = ["a", "b", "c", "d"].map((digit) => (length: number) => digit.repeat(length)) as [Repeat, Repeat, Repeat, Repeat];
type Repeat = (length: number) => string;

describe("a Packages or Sources is read as apt reads it", () => {
  const digests = [
    { algorithm: "sha512", digest: A(128) },
    { algorithm: "sha256", digest: B(64) },
    { algorithm: "sha1", digest: C(40) },
    { algorithm: "md5", digest: D(32) },
  ];

  test.each<[string, string]>([
    [
      "with all its fields",
      `Package: a\nVersion: 1:2-3\nArchitecture: amd64\nFilename: pool/a.deb\nSize: 7\nMD5sum: ${D(32)}\nSHA1: ${C(40)}\nSHA256: ${B(64)}\nSHA512: ${A(128)}\n`,
    ],
    [
      "in any case, with blanks before colons and none behind them",
      `package :a\nVERSION:1:2-3\narchitecture\t: amd64\nfilename:pool/a.deb\nSIZE:  7 \nmd5SUM:${D(32)}\nsha1:${C(40).toUpperCase()}\nSha256:${B(64)}\nSHA512:${A(128)}`,
    ],
    [
      "with CRLF, odd lines, and continuation lines by blank or tab that look like fields",
      `\r\n\r\nPackage: a\r\nodd line\r\n: x\r\nDescription: d\r\n Filename: no.deb\r\n\tSize: 9\r\n .\r\nVersion: 1:2-3\r\nArchitecture: amd64\r\nFilename: pool/a.deb\r\nSize: 7\r\nMD5sum: ${D(32)}\r\nSHA1: ${C(40)}\r\nSHA256: ${B(64)}\r\nSHA512: ${A(128)}\r\n\r\n\r\n`,
    ],
    [
      "with a line of blanks in a description and one between two stanzas",
      `Package: a\nDescription: d\n \n\t\n more\nVersion: 1:2-3\nArchitecture: amd64\nFilename: pool/a.deb\nSize: 7\nMD5sum: ${D(32)}\nSHA1: ${C(40)}\nSHA256: ${B(64)}\nSHA512: ${A(128)}\n  \nPackage: b\nDepends: a\n`,
    ],
    [
      "with bytes that are no UTF-8 and a line of 200 KB",
      `Package: a\nMaintainer: M\u00fcller\nDepends: ${"x, ".repeat(70_000)}\nVersion: 1:2-3\nArchitecture: amd64\nFilename: pool/a.deb\nSize: 7\nMD5sum: ${D(32)}\nSHA1: ${C(40)}\nSHA256: ${B(64)}\nSHA512: ${A(128)}\n`,
    ],
  ])("%s", async (_name, text) => {
    for (const chunkBytes of [3, 65_536]) {
      const { packages, report } = await read("deb", Buffer.from(text, "latin1"), chunkBytes);
      expect(packages).toEqual([{ location: "pool/a.deb", size: 7, digests, name: "a", version: "1:2-3", architecture: "amd64" }]);
      expect(report).toEqual({ found: 1, skipped: 0, example: null });
    }
  });

  test("Sources names each file of a source package, with all digests that its lists have", async () => {
    const text = `Package: bash\nVersion: 5\nDirectory: pool/main/b/bash\nFiles:\n ${D(32)} 5 bash.dsc\n ${C(32)} 6 bash.tar.xz\nchecksums-sha1: \n\t${C(40)} 5 bash.dsc\nChecksums-Sha256:\n ${A(64)} 5 bash.dsc\n ${B(64)}  6   bash.tar.xz\nChecksums-Sha512:\n ${A(128)} 5 bash.dsc\nVcs: x\n\nPackage: flat\nDirectory: .\nFiles:\n ${D(32)} 1 f.dsc\n`;
    const { packages } = await read("deb", text);
    const source = { name: "bash", version: "5", architecture: "source" };
    expect(packages).toEqual([
      {
        ...source,
        location: "pool/main/b/bash/bash.dsc",
        size: 5,
        digests: [digests[0], { algorithm: "sha256", digest: A(64) }, digests[2], digests[3]],
      },
      { ...source, location: "pool/main/b/bash/bash.tar.xz", size: 6, digests: [digests[1], { algorithm: "md5", digest: C(32) }] },
      { name: "flat", architecture: "source", location: "./f.dsc", size: 1, digests: [digests[3]] },
    ]);
  });

  test("what cannot be used is skipped by itself", async () => {
    const stanza = (name: string, rest: string): string => `Package: ${name}\n${rest}\n\n`;
    const text = [
      stanza("none", `Filename: none.deb\nSize: many`),
      stanza("size", `Filename: size.deb\nSize: 1`),
      stanza("bad", `Filename: bad.deb\nSHA256: ${"z".repeat(64)}`),
      stanza("no-file", `SHA256: ${A(64)}`),
      stanza("long", `Filename: ${"x".repeat(5000)}.deb\nSHA256: ${A(64)}`),
      stanza("odd-size", `Filename: odd-size.deb\nSize: many\nSHA256: ${A(64)}`),
      stanza("far", `Filename: https://elsewhere.example/far.deb\nSHA256: ${A(64)}`),
      stanza("good", `Filename: ./good.deb\nSize: 1\nSHA256: ${A(64)}`),
    ].join("");
    const { packages, report } = await read("deb", text);
    expect(packages.map(({ location, size }) => [location, size])).toEqual([
      ["size.deb", 1],
      ["odd-size.deb", undefined],
      ["https://elsewhere.example/far.deb", undefined],
      ["./good.deb", 1],
    ]);
    expect(report).toEqual({ found: 4, skipped: 3, example: '"none.deb": it states no digest that is known here, and no size' });
  });

  test("an empty one names nothing", async () => {
    expect((await read("deb", "")).report).toEqual({ found: 0, skipped: 0, example: null });
    expect((await read("deb", "\n\n")).report).toEqual({ found: 0, skipped: 0, example: null });
  });
});

describe("a primary.xml is read as librepo reads it", () => {
  const package_ = (inner: string): string => `<package type="rpm"><name>a</name><arch>noarch</arch>${inner}</package>`;
  const document = (...packages: readonly string[]): string =>
    `<?xml version="1.0" encoding="UTF-8"?>\n<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="1">${packages.join("\n")}</metadata>`;
  const version = (epoch: string) => `<version epoch="${epoch}" ver="1" rel="2.fc42"/>`;

  test.each<[type: string, hex: string, algorithm: string]>([
    ["sha512", A(128), "sha512"],
    ["sha384", A(96), "sha384"],
    ["sha256", A(64), "sha256"],
    ["SHA256", A(64).toUpperCase(), "sha256"],
    ["sha1", A(40), "sha1"],
    ["sha", A(40), "sha1"],
    ["md5", A(32), "md5"],
  ])("with a checksum of type %s", async (type, hex, algorithm) => {
    const text = document(
      package_(
        `${version("0")}<checksum type="${type}" pkgid="YES">\n ${hex} </checksum><new:element xmlns:new="x"><checksum type="md5">no</checksum></new:element><size package="7" installed="9"/><location href="Packages/a&amp;b.rpm"/><format><rpm:requires><rpm:entry name="x" ver="9"/></rpm:requires></format>`,
      ),
    );
    expect((await read("rpm-md", text)).packages).toEqual([
      {
        location: "Packages/a&b.rpm",
        size: 7,
        digests: [{ algorithm, digest: A(hex.length) }],
        name: "a",
        version: "1-2.fc42",
        architecture: "noarch",
      },
    ]);
  });

  test("with xml:base, an epoch, several checksums, and entries that cannot be used", async () => {
    const text = document(
      package_(
        `${version("3")}<checksum type="sha256">${A(64)}</checksum><checksum type="md5">${D(32)}</checksum><location xml:base="../other" href="a.rpm"/>`,
      ),
      package_(`<checksum type="crc32">12345678</checksum><location href="crc.rpm"/>`),
      package_(`<location href="none.rpm"/>`),
      package_(`<checksum type="sha256">${B(5000)}</checksum><location href="long.rpm"/>`),
      package_(`<checksum type="sha256">${B(64)}</checksum>`),
      package_(`<checksum type="sha256">${B(64)}</checksum><location href="../../blob/b.rpm"/>`),
    );
    const { packages, report } = await read("rpm-md", text);
    expect(packages).toMatchObject([
      { location: "a.rpm", base: "../other", version: "3:1-2.fc42", digests: [{ algorithm: "sha256" }, { algorithm: "md5" }] },
      { location: "../../blob/b.rpm" },
    ]);
    expect(report).toMatchObject({ found: 2, skipped: 3 });
  });

  test.each<[string, BufferEncoding, string]>([
    ["ISO-8859-1", "latin1", ""],
    ["UTF-16", "utf16le", "\ufeff"],
    ["UTF-8 with a byte order mark", "utf8", "\ufeff"],
  ])("in %s", async (name, encoding, mark) => {
    const text = document(
      package_(`<checksum type="sha256">${A(64)}</checksum><description>M\u00fcller</description><location href="\u00fc.rpm"/>`),
    );
    const declared = text.replace("UTF-8", name.split(" ")[0] ?? "");
    const { packages } = await read("rpm-md", Buffer.from(`${mark}${declared}`, encoding), 7);
    expect(packages).toMatchObject([{ location: "\u00fc.rpm" }]);
  });

  test("with bytes that are no UTF-8", async () => {
    const text = document(
      package_(`<checksum type="sha256">${A(64)}</checksum><description>M\u00fcller</description><location href="a.rpm"/>`),
    );
    expect((await read("rpm-md", Buffer.from(text, "latin1"))).packages).toMatchObject([{ location: "a.rpm" }]);
  });

  test("not in an encoding that is unknown", async () => {
    await expect(read("rpm-md", document().replace("UTF-8", "KLINGON"))).rejects.toThrow("KLINGON");
  });
});

test("an APKINDEX names each package by the checksum of its control segment", async () => {
  const apk = await makeApk("content");
  const stanza = (name: string, checksum: string): string =>
    `C:${checksum}\nP:${name}\nV:1.2-r3\nA:x86_64\nS:${apk.bytes.length}\nI:9\nT:text: with colons\np:cmd:x=1 so:y=2\n\n`;
  const index = `${stanza("a+b", apk.checksum)}${stanza("sha256", `Q2${apk.checksum.slice(2)}`)}P:half\n\n${stanza("c", apk.checksum)}`;
  const tar = await packTar([
    { header: { name: "DESCRIPTION", size: 4 }, body: "v3.2" },
    { header: { name: "APKINDEX", size: index.length }, body: index },
  ]);
  const signature = await packTar([{ header: { name: ".SIGN.RSA.x.rsa.pub", size: 1 }, body: "x" }]);
  const packed = Buffer.concat([gzipSync(signature.subarray(0, signature.length - 1024)), gzipSync(tar)]);
  const { packages, report } = await read("apk", packed, 1000);
  const shared = {
    size: apk.bytes.length,
    digests: [{ algorithm: "apk-control-sha1", digest: apk.control }],
    version: "1.2-r3",
    architecture: "x86_64",
  };
  expect(packages).toEqual([
    { ...shared, location: "a+b-1.2-r3.apk", name: "a+b" },
    { ...shared, location: "c-1.2-r3.apk", name: "c" },
  ]);
  expect(report).toEqual({ found: 2, skipped: 1, example: expect.stringContaining("sha256-1.2-r3.apk") });
});

describe.runIf(requireTools("rpmbuild", "createrepo_c"))("what createrepo_c writes", () => {
  const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-createrepo-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  test.each([
    ["gz", "sha256"],
    ["bz2", "sha256"],
    ["xz", "sha512"],
    ["gz", "sha1"],
  ])("with %s and %s is read", async (compression, checksum) => {
    execFileSync("sh", ["-ec", SPEC], { cwd: folder });
    rmSync(join(folder, "repo/repodata"), { recursive: true, force: true });
    const options = ["-q", `--general-compress-type=${compression}`, `--checksum=${checksum}`, "--no-database"];
    execFileSync("createrepo_c", [...options, "repo"], { cwd: folder });
    const repodata = join(folder, "repo/repodata");
    const primary = readdirSync(repodata).find((name) => name.includes("primary")) ?? "";
    const { packages, report } = await read("rpm-md", readFileSync(join(repodata, primary)));
    expect(report).toEqual({ found: 1, skipped: 0, example: null });
    const file = join(folder, "repo", resolveLocation("", packages[0]?.location ?? "") ?? "");
    const digest = execFileSync(`${checksum}sum`, [file], { encoding: "utf8" }).split(" ")[0];
    expect(packages).toEqual([
      {
        location: "x/odd+name~1^2.rpm",
        size: statSync(file).size,
        digests: [{ algorithm: checksum, digest }],
        name: "odd",
        version: "1-1",
        architecture: "noarch",
      },
    ]);
  });
});

/** Makes repo/x/odd+name~1^2.rpm once. */
const SPEC = `[ -d repo ] || {
  printf 'Name: odd\\nVersion: 1\\nRelease: 1\\nSummary: s\\nLicense: MIT\\nBuildArch: noarch\\n%%description\\nd\\n%%files\\n' > odd.spec
  rpmbuild -bb --quiet --define "_topdir $PWD/rpm" odd.spec >/dev/null 2>&1
  mkdir -p repo/x && cp rpm/RPMS/noarch/*.rpm 'repo/x/odd+name~1^2.rpm'
}`;

describe.runIf(requireTools("dpkg-deb", "apt-ftparchive", "xz", "bzip2"))("what apt-ftparchive writes", () => {
  const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-ftparchive-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  test.each(["cat", "gzip", "xz -9", "bzip2", "zstd -q"])("and %s packs is read", async (command) => {
    execFileSync(
      "sh",
      [
        "-ec",
        `mkdir -p t/DEBIAN pool; printf 'Package: t\\nVersion: 1+b~1\\nArchitecture: all\\nMaintainer: m <m@x>\\nDescription: d\\n more\\n' > t/DEBIAN/control; dpkg-deb -b t pool/t_1+b~1_all.deb >/dev/null`,
      ],
      { cwd: folder },
    );
    const packed = execFileSync("sh", ["-ec", `apt-ftparchive packages pool | ${command}`], {
      cwd: folder,
      stdio: ["ignore", "pipe", "ignore"],
    });
    const { packages } = await read("deb", packed);
    const file = join(folder, "pool/t_1+b~1_all.deb");
    expect(packages).toMatchObject([
      { location: "pool/t_1+b~1_all.deb", size: statSync(file).size, name: "t", version: "1+b~1", architecture: "all" },
    ]);
    expect(packages[0]?.digests.map(({ algorithm }) => algorithm)).toEqual(["sha512", "sha256", "sha1", "md5"]);
    expect(packages[0]?.digests[1]?.digest).toBe(fileSha256(file));
  });
});
