import { expect, test } from "vitest";
import {
  companionFiles,
  indexWithoutForm,
  likelyCompanions,
  rootFiles,
  signedFile,
} from "../../../../src/metadata/generations/root-files.ts";

test("a deb repository is rooted in InRelease, or in Release where there is none, and takes its signatures along", () => {
  expect(rootFiles({ kind: "deb", root: "dists/sid" })).toEqual(["dists/sid/InRelease", "dists/sid/Release"]);
  expect(companionFiles({ kind: "deb", root: "dists/sid" }, "dists/sid/InRelease")).toEqual(["dists/sid/Release", "dists/sid/Release.gpg"]);
  expect(companionFiles({ kind: "deb", root: "dists/sid" }, "dists/sid/Release")).toEqual(["dists/sid/Release.gpg"]);
});

test("an rpm repository is rooted in repomd.xml, and takes its signature and key along", () => {
  expect(rootFiles({ kind: "rpm-md", root: "os/repodata" })).toEqual(["os/repodata/repomd.xml"]);
  expect(companionFiles({ kind: "rpm-md", root: "repodata" }, "repodata/repomd.xml")).toEqual([
    "repodata/repomd.xml.asc",
    "repodata/repomd.xml.key",
  ]);
});

test("a database of pacman and an index of Alpine are roots themselves; only pacman's has a signature beside it", () => {
  expect(rootFiles({ kind: "pacman", root: "core/core.db" })).toEqual(["core/core.db"]);
  expect(companionFiles({ kind: "pacman", root: "core/core.db" }, "core/core.db")).toEqual(["core/core.db.sig"]);
  expect(rootFiles({ kind: "apk", root: "main/APKINDEX.tar.gz" })).toEqual(["main/APKINDEX.tar.gz"]);
  expect(companionFiles({ kind: "apk", root: "main/APKINDEX.tar.gz" }, "main/APKINDEX.tar.gz")).toEqual([]);
});

test("a flat repository at the mirror's top has its files there, without a slash before them", () => {
  expect(rootFiles({ kind: "deb", root: "" })).toEqual(["InRelease", "Release"]);
  expect(companionFiles({ kind: "deb", root: "" }, "InRelease")).toEqual(["Release", "Release.gpg"]);
});

test("an index without a Release takes its other forms along, and every signature stands behind what it signs", () => {
  const place = { kind: "deb", root: "feed/Packages", form: "feed/Packages.gz" } as const;
  expect(rootFiles(place)).toEqual(["feed/Packages.gz"]);
  const companions = companionFiles(place, "feed/Packages.gz");
  expect(companions).toEqual(expect.arrayContaining(["feed/Packages", "feed/Packages.xz", "feed/Packages.sig", "feed/Packages.gz.asc"]));
  expect(companions).not.toContain("feed/Packages.gz");
  companions.forEach((file, at) => {
    const signed = signedFile(file);
    if (signed !== null && signed !== "feed/Packages.gz") expect(companions.indexOf(signed)).toBeLessThan(at);
  });
  expect(likelyCompanions(place, "feed/Packages.gz")).toEqual(["feed/Packages.sig"]);
});

test.each([
  ["feed/Packages", "feed/Packages"],
  ["feed/Packages.gz", "feed/Packages"],
  ["Sources.xz", "Sources"],
  ["feed/Packages.sig", "feed/Packages"],
  ["feed/Packages.gz.asc", "feed/Packages"],
  ["feed/Packages.manifest", null],
  ["feed/Contents-amd64.gz", null],
  ["feed/AllPackages.gz", null],
])("%s is a form of the index %s", (path, index) => {
  expect(indexWithoutForm(path)).toBe(index);
});

test("a list of checksums is fetched with the signatures that distributions put beside one, ostree's summary with its own", () => {
  expect(likelyCompanions({ kind: "pair", root: "iso/SHA256SUMS" }, "iso/SHA256SUMS")).toEqual([
    "iso/SHA256SUMS.gpg",
    "iso/SHA256SUMS.asc",
    "iso/SHA256SUMS.sign",
  ]);
  expect(likelyCompanions({ kind: "pair", root: "repo/summary" }, "repo/summary")).toEqual(["repo/summary.sig"]);
});
