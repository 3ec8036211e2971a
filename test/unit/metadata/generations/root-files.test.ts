import { expect, test } from "vitest";
import { companionFiles, rootFiles } from "../../../../src/metadata/generations/root-files.ts";

test("a deb repository is rooted in InRelease, or in Release where there is none, and takes its signatures along", () => {
  expect(rootFiles({ kind: "deb", root: "dists/sid" })).toEqual(["dists/sid/InRelease", "dists/sid/Release"]);
  expect(companionFiles("deb", "dists/sid/InRelease")).toEqual(["dists/sid/Release", "dists/sid/Release.gpg"]);
  expect(companionFiles("deb", "dists/sid/Release")).toEqual(["dists/sid/Release.gpg"]);
});

test("an rpm repository is rooted in repomd.xml, and takes its signature and key along", () => {
  expect(rootFiles({ kind: "rpm-md", root: "os/repodata" })).toEqual(["os/repodata/repomd.xml"]);
  expect(companionFiles("rpm-md", "repodata/repomd.xml")).toEqual(["repodata/repomd.xml.asc", "repodata/repomd.xml.key"]);
});

test("a database of pacman and an index of Alpine are roots themselves; only pacman's has a signature beside it", () => {
  expect(rootFiles({ kind: "pacman", root: "core/core.db" })).toEqual(["core/core.db"]);
  expect(companionFiles("pacman", "core/core.db")).toEqual(["core/core.db.sig"]);
  expect(rootFiles({ kind: "apk", root: "main/APKINDEX.tar.gz" })).toEqual(["main/APKINDEX.tar.gz"]);
  expect(companionFiles("apk", "main/APKINDEX.tar.gz")).toEqual([]);
});

test("a flat repository at the mirror's top has its files there, without a slash before them", () => {
  expect(rootFiles({ kind: "deb", root: "" })).toEqual(["InRelease", "Release"]);
  expect(companionFiles("deb", "InRelease")).toEqual(["Release", "Release.gpg"]);
});
