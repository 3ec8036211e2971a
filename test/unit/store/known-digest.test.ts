import { describe, expect, test } from "vitest";
import { knownDigest } from "../../../src/store/known-digest.ts";

const OWN = "a".repeat(64);
const NAMED = "b".repeat(64);

describe("the digest that is known of a stored object", () => {
  test.each([
    ["fedora/os/x.rpm", OWN, { algorithm: "sha256", digest: OWN }],
    ["fedora/os/x.rpm", undefined, null],
    [`-/sha256/${NAMED}`, undefined, { algorithm: "sha256", digest: NAMED }],
    [`-/sha256/${NAMED}`, OWN, { algorithm: "sha256", digest: NAMED }],
    [`-/sha512/${NAMED}${NAMED}`, OWN, { algorithm: "sha512", digest: NAMED + NAMED }],
    [`-/md5/${"c".repeat(32)}`, undefined, { algorithm: "md5", digest: "c".repeat(32) }],
    [`-/table/${NAMED}`, undefined, { algorithm: "sha256", digest: NAMED }],
    [`-/closed/mine/sha1/${"d".repeat(40)}`, undefined, { algorithm: "sha1", digest: "d".repeat(40) }],
    [`-/root/${"e".repeat(32)}`, OWN, { algorithm: "sha256", digest: OWN }],
    [`-/root/${"e".repeat(32)}`, undefined, null],
    // A mirror's own path only looks like one.
    [`m/-/sha256/${NAMED}`, undefined, null],
  ])("of %s with its own %s is %j", (key, sha256, known) => {
    const found = knownDigest(key, sha256 === undefined ? {} : { sha256 });
    expect(found && { algorithm: found.algorithm, digest: found.digest }).toEqual(known);
  });
});
