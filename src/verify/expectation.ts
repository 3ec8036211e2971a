/** Strongest first: of several digests of one file, apt checks and asks by-hash for the strongest. */
export const ALGORITHMS = ["sha512", "sha384", "sha256", "sha1", "md5"] as const;

/**
 * The SHA-1 of an apk's control segment (the `C:` of an APKINDEX). It binds the whole package but for its signature, since the segment's .PKGINFO has
 * the SHA-256 of the data segment (apk.ts).
 */
export const APK_CONTROL_SHA1 = "apk-control-sha1";

/** The digest that a file must have, known before it is fetched. */
export interface Expectation {
  /** `size`: an index states the size and no digest; `digest` is that number in decimal. */
  readonly algorithm: PackageDigest["algorithm"] | "size";
  /** Lower-case hex. */
  readonly digest: string;
  /** Bytes of the file, where the index states them. */
  readonly size?: number;
  /** Where the digest comes from: the file's own name (by-hash, hash-prefixed repodata) or a published index. */
  readonly source: "name" | "index";
}

/** What a name, a root or indexes state of a file. */
export interface Known {
  readonly kind: "known";
  readonly expectations: readonly [Expectation, ...Expectation[]];
  /** Only the index of a repository in another folder names it, and no repository is nearer: that deletes no stored copy. */
  readonly isReaching?: true;
}

/** What is known of a file's content before it is fetched. */
export type Expected =
  /** The bytes must match one of these, its digest and its size together: two live suites may name one path with different bytes. */
  | Known
  /** Neither an index nor a root nor the file's own name says anything of it. */
  | { readonly kind: "none" }
  /** The index that may name the file is still being read. When its table lands, digests/land.ts compares what was stored meanwhile. */
  | { readonly kind: "building" };

/** A digest of a whole file, as a name or an index writes it. */
export interface NamedDigest {
  readonly algorithm: (typeof ALGORITHMS)[number];
  /** Lower-case hex. */
  readonly digest: string;
}

/** A digest by which an index of packages names one: of the whole file, or of what binds it. */
export interface PackageDigest {
  readonly algorithm: NamedDigest["algorithm"] | typeof APK_CONTROL_SHA1;
  /** Lower-case hex. */
  readonly digest: string;
}

const HEX_DIGITS: Readonly<Record<NamedDigest["algorithm"], number>> = { sha512: 128, sha384: 96, sha256: 64, sha1: 40, md5: 32 };

/** The folder below `by-hash/`, as https://wiki.debian.org/DebianRepository/Format (Acquire-By-Hash) writes it. */
export function byHashFolder(algorithm: NamedDigest["algorithm"]): string {
  return algorithm === "md5" ? "MD5Sum" : algorithm.toUpperCase();
}

/** Reads `sha256` (rpm-md also says `sha` for SHA-1) and hex digits of the right number; null for anything else. */
export function parseDigest(algorithm: string, hex: string): NamedDigest | null {
  const name = algorithm.toLowerCase() === "sha" ? "sha1" : algorithm.toLowerCase();
  const known = ALGORITHMS.find((one) => one === name);
  if (known === undefined || hex.length !== HEX_DIGITS[known] || !/^[0-9a-fA-F]+$/.test(hex)) return null;
  return { algorithm: known, digest: hex.toLowerCase() };
}

/** The digest of hex digits whose number tells the algorithm; null where no algorithm has that many. */
export function digestOfLength(hex: string): NamedDigest | null {
  const algorithm = ALGORITHMS.find((one) => HEX_DIGITS[one] === hex.length);
  return algorithm === undefined ? null : parseDigest(algorithm, hex);
}

/** The bytes as lower-case hex digits, two for each byte. */
export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
