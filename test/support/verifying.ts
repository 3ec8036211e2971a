import { createHash } from "node:crypto";
import fc from "fast-check";
import { createVerifier } from "../../src/verify/create-verifier.ts";
import type { CreateDigest } from "../../src/verify/digest-ranges.ts";
import type { DeclaredLength, Verdict } from "../../src/verify/walk.ts";

/** What `crypto.DigestStream` is in workerd. */
export const createNodeDigest: CreateDigest = (algorithm) => {
  const hash = createHash(algorithm.replace("-", "").toLowerCase());
  return {
    update: (chunk) => void hash.update(chunk),
    digest: async () => new Uint8Array(hash.digest()),
  };
};

export interface Judgement {
  readonly verdict: Verdict;
  readonly declared: DeclaredLength;
}

/** Feeds `bytes`, cut at `cuts` (fractions of the file), and asks for the verdict. */
export async function judge(
  path: string,
  bytes: Uint8Array,
  options: { contentLength?: number; createDigest?: CreateDigest; cuts?: readonly number[] } = {},
): Promise<Judgement> {
  const verifier = createVerifier(path, options);
  const offsets = (options.cuts ?? []).map((cut) => Math.floor(cut * bytes.length)).toSorted((a, b) => a - b);
  let start = 0;
  for (const end of [...offsets, bytes.length]) {
    // The view is not kept: what becomes of its buffer afterwards must not matter.
    const chunk = new Uint8Array(bytes.subarray(start, end));
    await verifier.feed(chunk);
    chunk.fill(0xff);
    start = end;
  }
  const declared = verifier.declared();
  return { verdict: await verifier.finish(), declared };
}

/** Any way to cut a file into chunks, empty ones among them. */
export const anyCuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 40 });

/** A file as a bad disk, proxy or enemy makes it from a good one. */
export function mutationsOf(bytes: Uint8Array): fc.Arbitrary<Uint8Array> {
  // Most of what a format says stands at its beginning, so half of the edits go there.
  const offset = fc.oneof(fc.nat(Math.min(600, bytes.length)), fc.nat(bytes.length));
  const edit = fc.record({
    kind: fc.constantFrom("overwrite", "insert", "remove"),
    offset,
    bytes: fc.uint8Array({ minLength: 1, maxLength: 16 }),
  });
  return fc.array(edit, { minLength: 1, maxLength: 4 }).map((edits) => {
    let mutated = Buffer.from(bytes);
    for (const { kind, offset: at, bytes: with_ } of edits) {
      const behind = kind === "insert" ? at : at + with_.length;
      mutated = Buffer.concat([mutated.subarray(0, at), kind === "remove" ? Buffer.alloc(0) : with_, mutated.subarray(behind)]);
    }
    return new Uint8Array(mutated);
  });
}

/** The offsets `0 … length - 1` at which a file can be cut. */
export function allOffsets(length: number): readonly number[] {
  return Array.from({ length }, (_, offset) => offset);
}
