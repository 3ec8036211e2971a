import { execFileSync } from "node:child_process";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { expect, it } from "vitest";
import { pickPackages, readPackages, type ReadFile } from "../../../../src/local/operator/package-paths.ts";

const findPackages = async (folder: string, names: readonly string[], read: ReadFile) =>
  pickPackages(await readPackages(folder, read), names);

const REPOMD = `<repomd><data type="filelists"><location href="repodata/f.xml.gz"/></data><data type="primary"><checksum/><location href="repodata/p.xml.zst"/></data></repomd>`;
const rpm = (name: string, arch: string, time: number, href: string) =>
  `<package type="rpm"><name>${name}</name><arch>${arch}</arch><time file="${time}" build="1"/><location href="${href}"/></package>`;

function reader(files: Readonly<Record<string, string | Uint8Array>>) {
  return async (path: string) => {
    const file = files[path];
    return file === undefined ? null : typeof file === "string" ? new TextEncoder().encode(file) : file;
  };
}

it("finds the newest rpm of each architecture by name", async () => {
  const primary = [
    rpm("vim", "x86_64", 2, "Packages/v/vim-2.rpm"),
    rpm("vim", "x86_64", 1, "Packages/v/vim-1.rpm"),
    rpm("vim", "i686", 1, "Packages/v/vim-1.i686.rpm"),
    rpm("vim-c++", "x86_64", 1, "Packages/v/a&amp;b.rpm"),
  ].join("\n");
  const read = reader({
    "fedora/41/os/repodata/repomd.xml": REPOMD,
    "fedora/41/os/repodata/p.xml.zst": new Uint8Array(zstdCompressSync(`<metadata>${primary}</metadata>`)),
  });
  expect(await findPackages("/fedora/41/os/", ["vim", "vim-c++", "emacs"], read)).toEqual({
    paths: ["fedora/41/os/Packages/v/vim-2.rpm", "fedora/41/os/Packages/v/vim-1.i686.rpm", "fedora/41/os/Packages/v/a&b.rpm"],
    missing: ["emacs"],
  });
});

it("finds packages in whatever an index is packed with", async () => {
  const primary = `<metadata>${rpm("vim", "x86_64", 2, "vim-2.rpm")}</metadata>`;
  for (const command of ["xz", "bzip2", "gzip"]) {
    const packed = new Uint8Array(execFileSync(command, ["-c"], { input: primary }));
    const read = reader({ "x/repodata/repomd.xml": REPOMD, "x/repodata/p.xml.zst": packed });
    expect((await findPackages("x", ["vim"], read)).paths).toEqual(["x/vim-2.rpm"]);
  }
});

it("finds debs by name, from the archive's top", async () => {
  const stanza = (version: number) => `Package: vim\nArchitecture: amd64\nVersion: ${version}\nFilename: pool/v/vim_${version}_amd64.deb\n`;
  const read = reader({
    "debian/dists/sid/main/binary-amd64/Packages.gz": new Uint8Array(gzipSync(`${stanza(1)}\n${stanza(2)}`)),
  });
  expect((await findPackages("debian/dists/sid/main/binary-amd64", ["vim"], read)).paths).toEqual(["debian/pool/v/vim_2_amd64.deb"]);
});

it("says what it wanted where there is no repository", async () => {
  await expect(findPackages("fedora/none", ["vim"], reader({}))).rejects.toThrow(/repodata\/repomd.xml/);
});
