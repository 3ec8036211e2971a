export type DigestAlgorithm = "MD5" | "SHA-1" | "SHA-256" | "SHA-384" | "SHA-512";

/** An incremental hash in constant memory: `crypto.DigestStream` in workerd, since WebCrypto itself has none. */
export type CreateDigest = (algorithm: DigestAlgorithm) => {
  update(chunk: Uint8Array): void | Promise<void>;
  digest(): Promise<Uint8Array>;
};

/** Bytes `[from, to)` of a file, whose digest the file itself states. */
export interface DigestRange {
  readonly what: string;
  readonly algorithm: DigestAlgorithm;
  /** Lower-case hex. */
  readonly expected: string;
  readonly from: number;
  /** Infinity: to the end of the file. May be set later, as long as it lies ahead. */
  to: number;
}

export interface DigestRanges {
  open(range: DigestRange): void;
  drop(range: DigestRange): void;
  isEmpty(): boolean;
  /** Takes the bytes at `position`; says what does not match as soon as a range has ended, else null. */
  feed(position: number, chunk: Uint8Array): Promise<string | null>;
  /** Compares what is still open, where the file ends. */
  finish(): Promise<string | null>;
}

/** Hashes parts of a file as they flow by. Without `createDigest` it does nothing. */
export function createDigestRanges(createDigest: CreateDigest | undefined): DigestRanges {
  const running = new Map<DigestRange, ReturnType<CreateDigest>>();

  const settle = async (range: DigestRange): Promise<string | null> => {
    const digest = running.get(range);
    running.delete(range);
    const actual = digest === undefined ? range.expected : toHex(await digest.digest());
    return actual === range.expected ? null : `the ${range.algorithm} of the ${range.what} is ${actual}, but should be ${range.expected}`;
  };

  return {
    open(range) {
      if (createDigest !== undefined) running.set(range, createDigest(range.algorithm));
    },
    drop: (range) => void running.delete(range),
    isEmpty: () => running.size === 0,
    async feed(position, chunk) {
      for (const [range, digest] of running) {
        const part = chunk.subarray(Math.max(0, range.from - position), Math.max(0, range.to - position));
        if (part.length > 0) await digest.update(part);
        if (range.to > position + chunk.length) continue;
        const mismatch = await settle(range);
        if (mismatch !== null) return mismatch;
      }
      return null;
    },
    async finish() {
      for (const range of running.keys()) {
        const mismatch = await settle(range);
        if (mismatch !== null) return mismatch;
      }
      return null;
    },
  };
}

/** Lower-case hex. */
export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
