import type { Mirror } from "../config/config.ts";
import type { Expectation } from "../verify/expectation.ts";

export type NamedDigest = Pick<Expectation, "algorithm" | "digest">;

/** Strongest first: apt asks by-hash for the strongest digest that is listed, so that is the one to store under. */
export const ALGORITHMS = ["sha512", "sha384", "sha256", "sha1", "md5"] as const satisfies readonly Expectation["algorithm"][];

const HEX_LENGTH: Readonly<Record<Expectation["algorithm"], number>> = { sha512: 128, sha384: 96, sha256: 64, sha1: 40, md5: 32 };

/** Folder names of `by-hash/`, as apt writes them. */
export const BY_HASH_FOLDER: Readonly<Partial<Record<Expectation["algorithm"], string>>> = {
  sha512: "SHA512",
  sha256: "SHA256",
  sha1: "SHA1",
  md5: "MD5Sum",
};

/**
 * The key under which bytes of this digest lie, whatever repository named them. A mirror that does not let everyone in has a space of its own: who
 * knows a digest of its metadata could read it through an open mirror. Not below the mirror's name, where an upstream's paths lie.
 */
export function contentKey({ name, access }: Pick<Mirror, "name" | "access">, { algorithm, digest }: NamedDigest): string {
  return `${access === undefined ? "-" : `-/closed/${name}`}/${algorithm}/${digest}`;
}

/** Reads `sha256` (rpm-md also says `sha` for SHA-1) and hex digits of the right number; null for anything else. */
export function parseDigest(algorithm: string, hex: string): NamedDigest | null {
  const name = algorithm.toLowerCase() === "sha" ? "sha1" : algorithm.toLowerCase();
  const known = ALGORITHMS.find((one) => one === name);
  if (known === undefined || hex.length !== HEX_LENGTH[known] || !/^[0-9a-fA-F]+$/.test(hex)) return null;
  return { algorithm: known, digest: hex.toLowerCase() };
}

/** The digest that a path carries in its own name: `…/by-hash/SHA256/<hex>` or `<hex>-primary.xml.gz`. */
export function parseHashName(path: string): NamedDigest | null {
  const byHash = /(?:^|\/)by-hash\/([A-Za-z0-9]+)\/([0-9a-fA-F]+)$/.exec(path);
  if (byHash !== null) return parseDigest((byHash[1] ?? "").replace(/Sum$/, ""), byHash[2] ?? "");
  const prefix = /(?:^|\/)([0-9a-f]+)-[^/]+$/.exec(path)?.[1] ?? "";
  const algorithm = ALGORITHMS.find((one) => HEX_LENGTH[one] === prefix.length);
  return algorithm === undefined ? null : { algorithm, digest: prefix };
}

/** True for a path that stays where it is put: relative, no empty, `.` or `..` parts, no backslash, no control characters. */
export function isContained(path: string): boolean {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  if (path.length > 1024 || /[\u0000-\u001f\u007f\\]/.test(path)) return false;
  return path.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}
