import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  contentKey,
  isStorableKey,
  keyAtRest,
  keysOf,
  newVersion,
  parseSliceKey,
  parseStoredObject,
  serialiseStoredObject,
  sliceKey,
} from "../../../src/store/keys.ts";
import type { StoredObject } from "../../../src/store/stored-object.ts";

const OBJECT: StoredObject = {
  version: "0123456789abcdef0123456789abcdef",
  size: 3,
  contentType: "application/x-rpm",
  upstream: "https://one.example/fedora/x.rpm",
  storedAt: 1_700_000_000_000,
  verified: "length",
};
const BYTES = new Uint8Array(3);

describe("keys of slices and members", () => {
  it("name a version's slice, and are read back", () => {
    fc.assert(
      fc.property(fc.nat(999_999_999), (index) => {
        const version = newVersion();
        const key = sliceKey(version, index);
        expect(key).toBe(`-/v/${version}/${index}`);
        expect(parseSliceKey(key)).toEqual({ version, index });
      }),
    );
  });

  it.each([
    "fedora/x",
    "-/v/",
    "-/v/0123/0",
    `-/v/${"0".repeat(32)}/`,
    `-/v/${"0".repeat(32)}/01`,
    `-/v/${"A".repeat(32)}/1`,
    `x-/v/${"0".repeat(32)}/1`,
  ])("are not such as %j", (key) => {
    expect(parseSliceKey(key)).toBeNull();
  });

  it("are refused for what would leave the folder of slices", () => {
    expect(() => sliceKey("../../objects", 0)).toThrow(RangeError);
    for (const index of [-1, 0.5, NaN, Infinity]) expect(() => sliceKey("0".repeat(32), index)).toThrow(RangeError);
  });

  it("have a new version each time", () => {
    expect(new Set(Array.from({ length: 100 }, newVersion)).size).toBe(100);
    expect(newVersion()).toMatch(/^[0-9a-f]{32}$/);
  });
});

describe("isStorableKey", () => {
  it("takes 1 to 1,024 bytes of UTF-8", () => {
    expect(isStorableKey("")).toBe(false);
    expect(isStorableKey("x".repeat(1024))).toBe(true);
    expect(isStorableKey("x".repeat(1025))).toBe(false);
    expect(isStorableKey("é".repeat(512))).toBe(true);
    expect(isStorableKey("é".repeat(513))).toBe(false);
  });
});

describe("a StoredObject as text", () => {
  it("comes back as it was, in printable ASCII", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 60 }), fc.boolean(), (text, isTainted) => {
        const object: StoredObject = { ...OBJECT, etag: text, contentType: text, ...(isTainted && { tainted: true }) };
        const serialised = serialiseStoredObject(object, BYTES);
        expect(serialised).toMatch(/^[\x20-\x7E]*$/);
        expect(parseStoredObject(serialised)).toEqual(object);
      }),
    );
  });

  it.each([
    "",
    "{",
    "null",
    "[]",
    "7",
    JSON.stringify({ ...OBJECT, version: "x" }),
    JSON.stringify({ ...OBJECT, size: -1 }),
    JSON.stringify({ ...OBJECT, size: 1e300 }),
    JSON.stringify({ ...OBJECT, sliceBytes: 0 }),
    JSON.stringify({ ...OBJECT, verified: "perhaps" }),
    JSON.stringify({ ...OBJECT, tainted: false }),
    JSON.stringify({ ...OBJECT, upstream: undefined }),
  ])("is a miss where it is malformed: %s", (text) => {
    expect(parseStoredObject(text)).toBeNull();
  });

  it("is a miss for any other text, never a crash", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(parseStoredObject(text)).toBeNull();
      }),
    );
  });

  it("keeps no field it does not know", () => {
    expect(parseStoredObject(JSON.stringify({ ...OBJECT, later: 1 }))).toEqual(OBJECT);
  });

  it("is made only with the bytes it describes, and never of more than 2 KiB", () => {
    expect(() => serialiseStoredObject(OBJECT, new Uint8Array(2))).toThrow(RangeError);
    expect(() => serialiseStoredObject({ ...OBJECT, sliceBytes: 2 }, BYTES)).toThrow(RangeError);
    expect(() => serialiseStoredObject({ ...OBJECT, etag: "é".repeat(400) }, BYTES)).toThrow(/2048/);
  });
});

describe("the key of content", () => {
  const sha256 = "ab".repeat(32);
  const open = { name: "m" };
  const closed = { name: "m", access: {} as never };

  it.each([
    ["sha256", sha256],
    ["sha384", "ab".repeat(48)],
    ["sha512", "ab".repeat(64)],
  ])("of %s is one for all open mirrors, and a closed one has its own", (algorithm, digest) => {
    const shared = `-/${algorithm}/${digest}`;
    const own = `-/closed/m/${algorithm}/${digest}`;
    expect(contentKey(open, { algorithm, digest })).toBe(shared);
    expect(contentKey(closed, { algorithm, digest })).toBe(own);
    expect(keysOf(open, shared)).toEqual({ key: own, sharedKey: shared });
    expect(keysOf(open, own)).toEqual({ key: own });
  });

  it.each([
    ["md5", "ab".repeat(16)],
    ["sha1", "ab".repeat(20)],
  ])("of %s is the mirror's own", (algorithm, digest) => {
    const own = `-/closed/m/${algorithm}/${digest}`;
    expect(contentKey(open, { algorithm, digest })).toBe(own);
    expect(keysOf(open, own)).toEqual({ key: own });
  });

  it("is shared only by what is proven to have the digest", () => {
    const keys = keysOf(open, `-/sha256/${sha256}`);
    expect(keyAtRest(keys, { verified: "digest" })).toBe(keys.sharedKey);
    expect(keyAtRest(keys, { verified: "length", sha256 })).toBe(keys.sharedKey);
    expect(keyAtRest(keys, { verified: "length", sha256: "cd".repeat(32) })).toBe(keys.key);
    for (const verified of ["none", "length", "structure"] as const) expect(keyAtRest(keys, { verified })).toBe(keys.key);
    expect(keyAtRest({ key: "m/a.deb" }, { verified: "digest" })).toBe("m/a.deb");
  });
});
