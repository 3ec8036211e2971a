import type { Expectation } from "./expectation.ts";

/** A digest as a name or an index writes it: lower-case hex of the algorithm's length. */
export type NamedDigest = Pick<Expectation, "algorithm" | "digest">;

/** Strongest first: of several digests of one file, apt checks and asks by-hash for the strongest. */
export const ALGORITHMS = ["sha512", "sha384", "sha256", "sha1", "md5"] as const satisfies readonly Expectation["algorithm"][];

const HEX_DIGITS: Readonly<Record<Expectation["algorithm"], number>> = { sha512: 128, sha384: 96, sha256: 64, sha1: 40, md5: 32 };

/** Folder names of `by-hash/`, as https://wiki.debian.org/DebianRepository/Format (Acquire-By-Hash) writes them. */
export const BY_HASH_FOLDERS: Readonly<Partial<Record<Expectation["algorithm"], string>>> = {
  sha512: "SHA512",
  sha384: "SHA384",
  sha256: "SHA256",
  sha1: "SHA1",
  md5: "MD5Sum",
};

/** Reads `sha256` (rpm-md also says `sha` for SHA-1) and hex digits of the right number; null for anything else. */
export function parseDigest(algorithm: string, hex: string): NamedDigest | null {
  const name = algorithm.toLowerCase() === "sha" ? "sha1" : algorithm.toLowerCase();
  const known = ALGORITHMS.find((one) => one === name);
  if (known === undefined || hex.length !== HEX_DIGITS[known] || !/^[0-9a-fA-F]+$/.test(hex)) return null;
  return { algorithm: known, digest: hex.toLowerCase() };
}

/** The digest of lower-case hex digits whose number tells the algorithm; null where no algorithm has that many. */
export function digestOfLength(hex: string): NamedDigest | null {
  const algorithm = ALGORITHMS.find((one) => HEX_DIGITS[one] === hex.length);
  return algorithm === undefined ? null : parseDigest(algorithm, hex);
}
