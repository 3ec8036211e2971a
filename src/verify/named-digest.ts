import type { Expectation } from "./expectation.ts";

type Algorithm = Expectation["algorithm"];

const HEX_DIGITS: Readonly<Record<Algorithm, number>> = { md5: 32, sha1: 40, sha256: 64, sha384: 96, sha512: 128 };
/** The folder names of https://wiki.debian.org/DebianRepository/Format (Acquire-By-Hash), lower-cased. */
const BY_HASH_FOLDERS: Readonly<Record<string, Algorithm>> = { md5sum: "md5", sha1: "sha1", sha256: "sha256", sha512: "sha512" };

/**
 * What a decoded path promises of its own bytes: `…/by-hash/ALG/H` (apt) and `…/repodata/<H>-name` (rpm-md, where the
 * length of H tells the algorithm). Null where the path promises nothing, or H has not the length that it should have.
 */
export function expectationFromPath(path: string): Expectation | null {
  const byHash = /(?:^|\/)by-hash\/(md5sum|sha1|sha256|sha512)\/([0-9a-f]+)$/i.exec(path);
  const [, folder, byHashDigest] = byHash ?? [];
  if (folder !== undefined && byHashDigest !== undefined) {
    const algorithm = BY_HASH_FOLDERS[folder.toLowerCase()];
    return algorithm === undefined ? null : named(algorithm, byHashDigest);
  }
  const prefix = /(?:^|\/)repodata\/([0-9a-f]+)-[^/]+$/i.exec(path)?.[1];
  const algorithm = algorithmOfLength(prefix?.length);
  return prefix === undefined || algorithm === undefined ? null : named(algorithm, prefix);
}

function algorithmOfLength(digits: number | undefined): Algorithm | undefined {
  return (Object.keys(HEX_DIGITS) as Algorithm[]).find((algorithm) => HEX_DIGITS[algorithm] === digits);
}

function named(algorithm: Algorithm, digest: string): Expectation | null {
  return digest.length === HEX_DIGITS[algorithm] ? { algorithm, digest: digest.toLowerCase(), source: "name" } : null;
}
