import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { findCached } from "../../../../src/local/operator/cached-file.ts";

let top: string;
beforeEach(() => void (top = mkdtempSync(join(tmpdir(), "lazy-mirror-cached-"))));
afterEach(() => rmSync(top, { recursive: true, force: true }));

function write(files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(top, path)), { recursive: true });
    writeFileSync(join(top, path), text);
  }
}

it("finds the packages below a folder, with their paths", () => {
  write({ "pool/a/a_1_all.deb": "12345", "b-1-1.x86_64.rpm": "123" });
  expect(findCached(top).files.map(({ path, name, size }) => [path, name, size])).toEqual([
    ["b-1-1.x86_64.rpm", "b-1-1.x86_64.rpm", 3],
    ["pool/a/a_1_all.deb", "a_1_all.deb", 5],
  ]);
});

it("finds the one file that is named", () => {
  write({ "pool/a_1_all.deb": "12345" });
  expect(findCached(join(top, "pool/a_1_all.deb")).files).toMatchObject([{ path: "a_1_all.deb", name: "a_1_all.deb", size: 5 }]);
});

it.each(["partial/a.deb", "a/partial/a.deb", "lock", "_actmp/a.deb", "_xstore/a", "x.part", "a.iso.aria2", "lost+found/a"])(
  "passes over another cache's own state: %s",
  (path) => {
    write({ [path]: "x" });
    expect(findCached(top)).toEqual({ files: [], metadata: 0 });
  },
);

it.each([
  "dists/trixie/InRelease",
  "dists/trixie/main/binary-amd64/Packages.xz",
  "os/repodata/repomd.xml",
  "core/os/x86_64/core.db",
  "core/os/x86_64/core.files.tar.gz",
  "core/os/x86_64/a-1-1-any.pkg.tar.zst.sig",
  "v3.22/main/x86_64/APKINDEX.tar.gz",
  "pkgcache.bin",
])("counts metadata, which the server fetches itself: %s", (path) => {
  write({ [path]: "x" });
  expect(findCached(top)).toEqual({ files: [], metadata: 1 });
});

it("reads the labels that apt-cacher-ng wrote beside a file", () => {
  const head =
    "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nLast-Modified: Sun, 06 Nov 2022 08:49:37 GMT\r\nContent-Type: application/x-debian-package\r\n";
  write({ "debrep/pool/a.deb": "12345", "debrep/pool/a.deb.head": head });
  expect(findCached(top).files).toMatchObject([
    {
      path: "debrep/pool/a.deb",
      size: 5,
      wanted: 9,
      headers: { "last-modified": "Sun, 06 Nov 2022 08:49:37 GMT", "content-type": "application/x-debian-package" },
    },
  ]);
});

it("reads the escapes that caches write for the colon of an epoch, and keeps a name that has none of them", () => {
  write({ "a_1%3a2_all.deb": "x", "100%.deb": "y" });
  expect(findCached(top).files.map(({ name }) => name)).toEqual(["100%.deb", "a_1:2_all.deb"]);
});

it("follows no link out of the folder", () => {
  write({ "pool/a.deb": "x" });
  symlinkSync("/etc/passwd", join(top, "pool/b.deb"));
  expect(findCached(top).files.map(({ path }) => path)).toEqual(["pool/a.deb"]);
});
