import { createDigestRanges, type CreateDigest, type DigestRange } from "./digest-ranges.ts";
import type { DeclaredLength, Verdict, Verifier } from "./verifier.ts";

/** Where `declared()` settles although a format has not told its length yet: headers to the client wait no longer. */
const DECLARED_WITHIN_BYTES = 1024 * 1024;

/** What a walk asks for next: `size` bytes (few) from the absolute offset `at`, which never lies before bytes it had already. */
interface Field {
  readonly at: number;
  readonly size: number;
}

/** Reads a format forwards, field by field. Gets fewer bytes than it asked for only where the file ends; must not keep the view. */
export type Walk<Result = Verdict> = Generator<Field, Result, Uint8Array>;

/** What a walk tells of the file as it learns it. */
export interface WalkedFile {
  readonly contentLength: number | undefined;
  /** The length is held against `contentLength` and against the bytes that come. May be called again with a larger `at-least`. */
  declare(length: DeclaredLength): void;
  /** Bytes from `range.from` on are hashed: to be called before the walk asks for a field at or behind them. */
  cover(range: DigestRange): void;
  uncover(range: DigestRange): void;
}

export interface WalkOptions {
  /** Bytes that upstream promised. */
  readonly contentLength?: number | undefined;
  /** Without it the digests inside a file are not checked, only its structure and length. */
  readonly createDigest?: CreateDigest | undefined;
}

export const broken = (reason: string): Extract<Verdict, { kind: "broken" }> => ({ kind: "broken", reason });

/** Drives a walk over chunks of any size; holds one field, never a chunk. */
export function createWalker(startWalk: (file: WalkedFile) => Walk, options: WalkOptions): Verifier {
  const { contentLength } = options;
  const ranges = createDigestRanges(options.createDigest);
  let fed = 0;
  let length: DeclaredLength = { kind: "pending" };
  let verdict: Verdict | null = null;

  const fail = (reason: string): void => {
    if (verdict?.kind !== "broken") verdict = broken(reason);
  };
  const walk = startWalk({
    contentLength,
    declare(declared) {
      length = declared;
      if (contentLength === undefined || !("bytes" in declared)) return;
      const fits = declared.kind === "exact" ? contentLength === declared.bytes : contentLength >= declared.bytes;
      if (!fits) fail(`the file declares ${describe(declared)}, but Content-Length is ${contentLength}`);
    },
    cover: ranges.open,
    uncover: ranges.drop,
  });

  let field: Field | null = null;
  let held = new Uint8Array(0);
  let heldLength = 0;
  const resume = (bytes?: Uint8Array): void => {
    const step = bytes === undefined ? walk.next() : walk.next(bytes);
    field = step.done ? null : step.value;
    heldLength = 0;
    if (step.done) verdict ??= step.value;
  };
  resume();

  const advance = (chunk: Uint8Array): void => {
    while (field !== null && verdict === null) {
      const from = field.at + heldLength - fed;
      const to = field.at + field.size - fed;
      if (heldLength === 0 && to <= chunk.length) {
        resume(chunk.subarray(from, to));
      } else {
        if (from >= chunk.length) return;
        if (heldLength === 0) held = new Uint8Array(field.size);
        const part = chunk.subarray(from, to);
        held.set(part, heldLength);
        heldLength += part.length;
        if (heldLength < field.size) return;
        resume(held);
      }
    }
  };

  return {
    feed(chunk) {
      if (verdict?.kind === "broken") return;
      advance(chunk);
      const start = fed;
      fed += chunk.length;
      if (length.kind === "exact" && fed > length.bytes) fail(`the file declares ${describe(length)}, but more follow`);
      if (ranges.isEmpty()) return;
      return ranges.feed(start, chunk).then((mismatch) => {
        if (mismatch !== null) fail(mismatch);
      });
    },
    declared: () => (length.kind === "pending" && (fed >= DECLARED_WITHIN_BYTES || verdict !== null) ? { kind: "unknown" } : length),
    broken: () => (verdict?.kind === "broken" ? verdict.reason : null),
    async finish() {
      while (verdict === null) resume(held.subarray(0, heldLength));
      if (verdict.kind !== "broken" && "bytes" in length && fed < length.bytes) {
        fail(`the file declares ${describe(length)}, but ends after ${fed}`);
      }
      if (verdict.kind !== "broken") {
        const mismatch = await ranges.finish();
        if (mismatch !== null) fail(mismatch);
      }
      return verdict;
    },
  };
}

function describe(length: Extract<DeclaredLength, { bytes: number }>): string {
  return `${length.kind === "exact" ? "" : "at least "}${length.bytes} bytes`;
}
