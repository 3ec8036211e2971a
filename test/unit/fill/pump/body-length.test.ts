import { describe, expect, it } from "vitest";
import { declaredLength, namedLength } from "../../../../src/fill/pump/body-length.ts";
import { createVerifier } from "../../../../src/verify/create-verifier.ts";
import type { Expected } from "../../../../src/verify/expectation.ts";
import type { DeclaredLength } from "../../../../src/verify/walk.ts";
import { craftRpm } from "../../../support/crafted-rpm.ts";
import { makeNoise } from "../../../support/fixture.ts";
import { makeDeb, makeIso } from "../../../support/large-files.ts";

const named = (...sizes: (number | undefined)[]): Expected => {
  const [first, ...others] = sizes.map(
    (size) => ({ algorithm: "sha256", digest: "ab", source: "index", ...(size === undefined ? {} : { size }) }) as const,
  );
  return first === undefined ? { kind: "none" } : { kind: "known", expectations: [first, ...others] };
};

describe("the length of a body that came without one", () => {
  it.each<[string, Expected | null, number | undefined]>([
    ["one size is named", named(7), 7],
    ["several files of one size are named", named(7, 7), 7],
    ["several sizes are named", named(7, 8), undefined],
    ["one of several has none", named(7, undefined), undefined],
    ["a name says the digest alone", named(undefined), undefined],
    ["nothing is named", { kind: "none" }, undefined],
    ["the index is being read", { kind: "building" }, undefined],
    ["nothing was asked", null, undefined],
  ])("by an index, where %s", (_, expected, length) => {
    expect(namedLength(expected)).toBe(length);
  });

  async function declaredBy(path: string, beginning: Uint8Array): Promise<DeclaredLength> {
    const verifier = createVerifier(path, {});
    await verifier.feed(beginning);
    return verifier.declared();
  }

  it("by an rpm's header, exactly", async () => {
    const { bytes } = craftRpm({ payload: makeNoise("length", 400_000), format: "v4" });
    const declared = await declaredBy("a.rpm", bytes.subarray(0, 100_000));
    expect(declaredLength(declared, false)).toEqual({ bytes: bytes.length, isGuess: false });
  });

  it("by the end of a deb's data, behind which hardly ever anything follows, unless it did", async () => {
    const deb = makeDeb("length", 400_000);
    const declared = await declaredBy("a.deb", deb.subarray(0, 100_000));
    expect(declaredLength(declared, true)).toEqual({ bytes: deb.length, isGuess: true });
    expect(declaredLength(declared, false)).toBeNull();
  });

  it("not by an iso, behind whose blocks mostly something follows, and not by what declares nothing", async () => {
    expect(declaredLength(await declaredBy("a.iso", makeIso("length", 400_000).subarray(0, 100_000)), true)).toBeNull();
    expect(declaredLength(await declaredBy("a.tar.gz", makeNoise("tar", 2_000_000)), true)).toBeNull();
    expect(declaredLength({ kind: "pending" }, true)).toBeNull();
  });
});
