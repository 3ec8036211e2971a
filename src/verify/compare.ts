import type { Expectation } from "./expectation.ts";

/** What is known of the bytes of a file: their number, and digests of them by algorithm, in lower-case hex. */
export interface Measured {
  readonly size: number;
  readonly digests: ReadonlyMap<string, string>;
}

/** What is known of the bytes of a stored object (`sha256`, `digest`: store/stored-object.ts). */
export function measuredOf({
  size,
  sha256,
  digest,
}: {
  readonly size: number;
  readonly sha256?: string;
  readonly digest?: string;
}): Measured {
  const digests = new Map<string, string>();
  if (sha256 !== undefined) digests.set("sha256", sha256);
  const colon = digest?.indexOf(":") ?? -1;
  if (digest !== undefined && colon > 0) digests.set(digest.slice(0, colon), digest.slice(colon + 1));
  return { size, digests };
}

/**
 * Whether bytes are the file of one of the expectations: `same` as one of them, in size and digest; `other` than all; or `unknown`, as the digest by which
 * one of them names the file was not computed.
 */
export function compare(expectations: readonly Expectation[], { size: actual, digests }: Measured): "same" | "other" | "unknown" {
  let result: "other" | "unknown" = "other";
  for (const { algorithm, digest, size = actual } of expectations) {
    if (size !== actual) continue;
    const computed = algorithm === "size" ? String(actual) : digests.get(algorithm);
    if (computed === digest) return "same";
    if (computed === undefined) result = "unknown";
  }
  return result;
}
