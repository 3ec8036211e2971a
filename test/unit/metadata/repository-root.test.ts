import { expect, test } from "vitest";
import { companionFiles, resolvePlace, rootFiles } from "../../../src/metadata/repository-root.ts";

const HEX = "a".repeat(64);

test.each([
  ["linux/releases/40/os/repodata/repomd.xml", "rpm-md", "linux/releases/40/os", "linux/releases/40/os/repodata", "root"],
  ["os/repodata/repomd.xml.asc", "rpm-md", "os", "os/repodata", "companion"],
  ["os/repodata/repomd.xml.key", "rpm-md", "os", "os/repodata", "companion"],
  ["repodata/primary.xml.gz", "rpm-md", "", "repodata", "member"],
  [`os/repodata/${HEX}-primary.xml.zst`, "rpm-md", "os", "os/repodata", "hashed"],
  [`os/repodata/${HEX.slice(1)}-primary.xml.zst`, "rpm-md", "os", "os/repodata", "member"],
  ["debian/dists/bookworm/InRelease", "deb", "debian", "debian/dists/bookworm", "root"],
  ["dists/bookworm/updates/Release.gpg", "deb", "", "dists/bookworm/updates", "companion"],
  ["dists/bookworm/main/binary-amd64/Release", "deb", "", "dists/bookworm", "member"],
  ["dists/bookworm/main/source/Release", "deb", "", "dists/bookworm", "member"],
  ["dists/bookworm/main/binary-amd64/Packages.xz", "deb", "", "dists/bookworm", "member"],
  [`dists/bookworm/main/binary-amd64/by-hash/SHA256/${HEX}`, "deb", "", "dists/bookworm", "hashed"],
  ["obs/Debian_12/Packages.gz", "deb", "obs/Debian_12", "obs/Debian_12", "member"],
  ["obs/Debian_12/Release.gpg", "deb", "obs/Debian_12", "obs/Debian_12", "companion"],
  [`obs/by-hash/MD5Sum/${"b".repeat(32)}`, "deb", "obs", "obs", "hashed"],
  ["core/os/x86_64/core.db", "pacman", "core/os/x86_64", "core/os/x86_64/core.db", "root"],
  ["core/os/x86_64/core.files.tar.gz.sig", "pacman", "core/os/x86_64", "core/os/x86_64/core.files.tar.gz", "companion"],
  ["v3.20/main/x86_64/APKINDEX.tar.gz", "apk", "v3.20/main/x86_64", "v3.20/main/x86_64/APKINDEX.tar.gz", "root"],
])("%s stands in a %s repository at %j under %j as %s", (path, kind, base, root, role) => {
  expect(resolvePlace(path)).toMatchObject({ kind, base, root, role });
});

test.each(["os/Packages/b/bash-5.2-1.x86_64.rpm", "pool/main/b/bash/bash_5.2_amd64.deb", "dists/", "os/repodata/", "README"])(
  "%s is no repository metadata",
  (path) => {
    expect(resolvePlace(path)).toBeNull();
  },
);

test("a deb repository is rooted in InRelease, or in Release where there is none, and takes its signatures along", () => {
  expect(rootFiles({ kind: "deb", root: "dists/sid" })).toEqual(["dists/sid/InRelease", "dists/sid/Release"]);
  expect(companionFiles("deb", "dists/sid/InRelease")).toEqual(["dists/sid/Release", "dists/sid/Release.gpg"]);
  expect(companionFiles("deb", "dists/sid/Release")).toEqual(["dists/sid/Release.gpg"]);
  expect(companionFiles("rpm-md", "repodata/repomd.xml")).toEqual(["repodata/repomd.xml.asc", "repodata/repomd.xml.key"]);
});
