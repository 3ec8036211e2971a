import { requireContained } from "./repository-path.ts";

/** A package as an index names it. */
export interface NamedPackage {
  /** Relative to the folder that the index's paths are relative to; never leads out of it. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

/**
 * Passes a package, as an index writes it, to `found`; leaves it out where its size or its SHA-256 is none. Throws MalformedError where its path leads
 * out of the repository.
 */
export function reportPackage(written: string, size: string, sha256: string, found: (named: NamedPackage) => void): void {
  const path = requireContained(written.replace(/^(\.\/)+/, ""), "path");
  if (/^\s*\d{1,15}\s*$/.test(size) && /^[0-9a-fA-F]{64}$/.test(sha256)) found({ path, size: Number(size), sha256: sha256.toLowerCase() });
}
