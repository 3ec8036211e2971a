import { describe, expect, test } from "vitest";
import { expectationFromPath } from "../../../src/verify/named-digest.ts";

const hex = (digits: number): string => "0123456789abcdef".repeat(8).slice(0, digits);

describe("a file is expected to have the digest", () => {
  test.each([
    ["MD5Sum", "md5", 32],
    ["SHA1", "sha1", 40],
    ["SHA256", "sha256", 64],
    ["SHA512", "sha512", 128],
  ])("that apt asks for under by-hash/%s", (folder, algorithm, digits) => {
    const path = `debian/dists/stable/main/binary-amd64/by-hash/${folder}/${hex(digits)}`;
    expect(expectationFromPath(path)).toEqual({ algorithm, digest: hex(digits), source: "name" });
    expect(expectationFromPath(`/${path}`)).toEqual({ algorithm, digest: hex(digits), source: "name" });
  });

  test.each([
    [32, "md5"],
    [40, "sha1"],
    [64, "sha256"],
    [96, "sha384"],
    [128, "sha512"],
  ])("of %i hex digits before a name in repodata: %s", (digits, algorithm) => {
    expect(expectationFromPath(`fedora/os/repodata/${hex(digits)}-primary.xml.zst`)).toEqual({
      algorithm,
      digest: hex(digits),
      source: "name",
    });
  });

  test("in lower case, however the name spells it", () => {
    expect(expectationFromPath(`by-hash/SHA256/${hex(64).toUpperCase()}`)?.digest).toBe(hex(64));
  });
});

describe("nothing is expected of", () => {
  test.each([
    ["an algorithm that apt does not have", `by-hash/SHA384/${hex(96)}`],
    ["a digest too short for its algorithm", `by-hash/SHA256/${hex(63)}`],
    ["a digest of another algorithm's length", `by-hash/SHA256/${hex(128)}`],
    ["something below a digest", `by-hash/SHA256/${hex(64)}/x`],
    ["a folder that only ends in by-hash", `not-by-hash/SHA256/${hex(64)}`],
    ["an unhashed name in repodata", "repodata/repomd.xml"],
    ["a prefix of another length", `repodata/${hex(56)}-primary.xml.gz`],
    ["a prefix with another digit in it", `repodata/g${hex(63)}-primary.xml.gz`],
    ["a digest without a name", `repodata/${hex(64)}`],
    ["a digest with an empty name", `repodata/${hex(64)}-`],
    ["a file in a folder below repodata", `repodata/${hex(64)}-x/primary.xml.gz`],
    ["a prefixed name elsewhere", `packages/${hex(64)}-primary.xml.gz`],
    ["a property that every object has", `by-hash/constructor/${hex(64)}`],
  ])("%s", (_, path) => {
    expect(expectationFromPath(path)).toBeNull();
  });
});
