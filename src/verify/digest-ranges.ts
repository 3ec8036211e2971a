import { toHex } from "./expectation.ts";

/** Hash functions by their names in WebCrypto. */
export type DigestAlgorithm = "MD5" | "SHA-1" | "SHA-256" | "SHA-384" | "SHA-512";

/** An incremental hash in constant memory: `crypto.DigestStream` in workerd, since WebCrypto itself has none. */
export type CreateDigest = (algorithm: DigestAlgorithm) => {
  update(chunk: Uint8Array): void | Promise<void>;
  digest(): Promise<Uint8Array>;
};

/** The bytes [from, to) of a file, whose digest the file itself states. */
export interface DigestRange {
  /** Which part of the file it is, for messages: "header", "payload". */
  readonly what: string;
  readonly algorithm: DigestAlgorithm;
  /** Lower-case hex. */
  readonly expected: string;
  readonly from: number;
  /** Infinity: to the end of the file. May be lowered later, to an offset that was not fed yet. */
  to: number;
}

/** Compares the digests that a file states of its own parts, as its bytes pass. Without `createDigest` nothing is compared. */
export function createDigestRanges(createDigest: CreateDigest | undefined) {
  const running = new Map<DigestRange, ReturnType<CreateDigest>>();

  /** The mismatch of a range, as a message, else null. */
  const settle = async (range: DigestRange): Promise<string | null> => {
    const digest = running.get(range);
    running.delete(range);
    const actual = digest === undefined ? range.expected : toHex(await digest.digest());
    return actual === range.expected ? null : `the ${range.algorithm} of the ${range.what} is ${actual}, but should be ${range.expected}`;
  };

  return {
    /** Starts to hash a range, whose first byte must not have been fed yet. */
    open(range: DigestRange): void {
      if (createDigest !== undefined) running.set(range, createDigest(range.algorithm));
    },
    /** Gives up a range without comparing it. */
    drop: (range: DigestRange): void => void running.delete(range),
    /** Whether no open range is left. */
    isEmpty: () => running.size === 0,
    /** Takes the bytes at `position`. Returns the first mismatch of a range that ends in them. */
    async feed(position: number, chunk: Uint8Array): Promise<string | null> {
      for (const [range, digest] of running) {
        const part = chunk.subarray(Math.max(0, range.from - position), Math.max(0, range.to - position));
        if (part.length > 0) await digest.update(part);
        if (range.to > position + chunk.length) continue;
        const mismatch = await settle(range);
        if (mismatch !== null) return mismatch;
      }
      return null;
    },
    /** Compares the ranges that reach to the end of the file. */
    async finish(): Promise<string | null> {
      for (const range of running.keys()) {
        const mismatch = await settle(range);
        if (mismatch !== null) return mismatch;
      }
      return null;
    },
  };
}
