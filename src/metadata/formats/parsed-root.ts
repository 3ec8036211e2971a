import type { NamedDigest } from "../../verify/expectation.ts";

/** A file that a root names. */
export interface Entry extends NamedDigest {
  /** Decoded path below the mirror. */
  readonly path: string;
  /** Bytes, where the root says it. */
  readonly size?: number;
  /** Bytes once decompressed, where the root says it. */
  readonly openSize?: number;
  /** rpm-md: `primary`, `filelists_zck`, …; absent for deb. */
  readonly type?: string;
}

/** What a repomd.xml or a Release says. */
export interface ParsedRoot {
  /**
   * The number that repomd.xml's `<revision>` is, where it is one; undefined for deb. createrepo writes Unix seconds, or what its user gave it, such as a
   * counter: `dateOfRevision` tells them apart. The root with the greater one is the newer.
   */
  readonly revision: number | undefined;
  /** Unix seconds: the newest `<timestamp>` of a repomd.xml, the `Date` of a Release; undefined where the root has none. At most 8.64e12. */
  readonly timestamp: number | undefined;
  /** `Valid-Until` of a Release, in milliseconds since the epoch: clients refuse the root after that. Undefined where it has none. */
  readonly validUntil: number | undefined;
  /** Whether the repository has `by-hash/` folders (deb's `Acquire-By-Hash`). */
  readonly byHash: boolean;
  readonly entries: readonly Entry[];
  /** What clients would skip too, or this mirror cannot use; absent: nothing. */
  readonly skipped?: Skipped;
}

/** Entries that were left out one by one. `example`: one of them and why, for the log. */
export interface Skipped {
  readonly count: number;
  readonly example: string;
}

/** The revision as Unix seconds; undefined where it is none, or cannot be a time: 9 digits began in 1973, and 11 go on for 3,000 years. */
export function dateOfRevision({ revision }: Pick<ParsedRoot, "revision">): number | undefined {
  return revision !== undefined && revision >= 1e8 && revision < 1e11 ? revision : undefined;
}

/** When the root was made, in Unix seconds, as it says itself; undefined: it does not say. */
export function dateOf(root: Pick<ParsedRoot, "revision" | "timestamp">): number | undefined {
  return dateOfRevision(root) ?? root.timestamp;
}

/** `reason`: what is wrong with the input, as a sentence for the log. */
export type RootParse = { readonly kind: "parsed"; readonly root: ParsedRoot } | { readonly kind: "malformed"; readonly reason: string };

/** Limit for the files that a root names; what goes beyond it is skipped. Debian sid's Release names about 4,000, a repomd.xml about 30. */
const MAX_ROOT_ENTRIES = 20_000;
/** Limit for the characters of their paths and types: a root is kept whole, in one turn of some 30 ms. Debian sid's are a quarter of a million. */
const MAX_ROOT_CHARACTERS = 2_000_000;

/** What is wrong with a file that a root may not name any more. */
export const TOO_MANY_ENTRIES = `is one of more than ${MAX_ROOT_ENTRIES} files, or of too many long names`;

/** Returns a function that says whether a root may name one more file. */
export function createEntryLimit(): (entry: Pick<Entry, "path" | "type">) => boolean {
  let [count, characters] = [0, 0];
  return ({ path, type = "" }) => {
    count++;
    characters += path.length + type.length;
    return count <= MAX_ROOT_ENTRIES && characters <= MAX_ROOT_CHARACTERS;
  };
}

/** Counts what a parser skips, and keeps the first as an example. */
export function createSkipCounter() {
  let count = 0;
  let example = "";
  return {
    /** `what`: the odd thing, as it is written; `why`: what is wrong with it. */
    skip(what: string, why: string): void {
      if (count++ === 0) example = `${JSON.stringify(what.slice(0, 120))} ${why}`;
    },
    report: (): Pick<ParsedRoot, "skipped"> => (count === 0 ? {} : { skipped: { count, example } }),
  };
}

export type SkipCounter = ReturnType<typeof createSkipCounter>;

/** The input is not what the parser reads; the message says what is wrong with it, as a sentence for the log. */
export class MalformedError extends Error {
  override readonly name = "MalformedError";
}

/** Runs a parser of roots and turns its MalformedError into a value. */
export async function parsing(parse: () => Promise<ParsedRoot> | ParsedRoot): Promise<RootParse> {
  try {
    return { kind: "parsed", root: await parse() };
  } catch (error) {
    if (error instanceof MalformedError) return { kind: "malformed", reason: error.message };
    throw error;
  }
}
