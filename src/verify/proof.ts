import type { CreateDigest } from "./digest-ranges.ts";
import { type NamedDigest, toHex } from "./expectation.ts";

/** Names of hash functions in WebCrypto. */
export const WEBCRYPTO_NAME = { md5: "MD5", sha1: "SHA-1", sha256: "SHA-256", sha384: "SHA-384", sha512: "SHA-512" } as const;

/** A digest that is known of a whole file, and from where, for messages: "its name". */
export interface Claim extends NamedDigest {
  readonly source: string;
}

/** Compares bytes, fed from the first to the last, with the digest that is known of them. */
export function createProof({ algorithm, digest, source }: Claim, createDigest: CreateDigest) {
  const running = createDigest(WEBCRYPTO_NAME[algorithm]);
  return {
    /** Resolves when the chunk may be reused. */
    update: async (chunk: Uint8Array): Promise<void> => running.update(chunk),
    /** What is wrong with the bytes, as the end of a message; null: they are those of the digest. */
    async finish(): Promise<string | null> {
      const found = toHex(await running.digest());
      return found === digest ? null : `its ${algorithm} is ${found}, not the ${digest} of ${source}`;
    },
  };
}
