import type { NamedDigest } from "../../verify/digest-name.ts";

/** A file that a root names. */
export interface Entry extends NamedDigest {
  /** Decoded path below the mirror. */
  readonly path: string;
  readonly size?: number;
  /** Length once decompressed, where the root says it. */
  readonly openSize?: number;
  /** rpm-md: `primary`, `filelists_zck`, …; absent for deb. */
  readonly type?: string;
}

/** What a repomd.xml or a Release says. */
export interface ParsedRoot {
  /** Unix seconds that order two roots of one repository; undefined where the root gives none. */
  readonly revision: number | undefined;
  readonly timestamp: number | undefined;
  /** Milliseconds since the epoch after which clients refuse it. */
  readonly validUntil: number | undefined;
  /** The repository has `by-hash/` folders. */
  readonly byHash: boolean;
  readonly entries: readonly Entry[];
}

export type RootParse = { readonly kind: "parsed"; readonly root: ParsedRoot } | Malformed;
export interface Malformed {
  readonly kind: "malformed";
  readonly reason: string;
}

/** Real ones: sid about 4,000, a repomd.xml about 30. */
export const MAX_ROOT_ENTRIES = 20_000;

/** Thrown inside a parser, never out of one: what is wrong with the input, as a sentence for the log. */
export class MalformedError extends Error {
  override readonly name = "MalformedError";
}

/** Runs a parser; its MalformedError becomes a value. */
export async function parsing<T>(parse: () => Promise<T> | T): Promise<T | Malformed> {
  try {
    return await parse();
  } catch (error) {
    if (error instanceof MalformedError) return { kind: "malformed", reason: error.message };
    throw error;
  }
}
