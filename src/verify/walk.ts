import { createDigestRanges, type CreateDigest, type DigestRange } from "./digest-ranges.ts";
import type { DeclaredLength, Verdict, Verifier } from "./verifier.ts";

/** After this many bytes `declared()` is `unknown` if no length was declared: the client waits no longer for its headers. */
const DECLARED_WITHIN_BYTES = 1024 * 1024;

/** The bytes that a walk asks for next: `size` (a few) from the absolute offset `at`, which never lies before a field that it got already. */
interface Field {
  readonly at: number;
  readonly size: number;
}

/** Reads a format forwards, field by field. It gets fewer bytes than it asked for only where the file ends, and must not keep the view. */
export type Walk<Result = Verdict> = Generator<Field, Result, Uint8Array>;

/** What a walk reports of the file as it reads. */
export interface WalkedFile {
  /** Bytes of the file by its upstream's headers; undefined: they do not say. */
  readonly contentLength: number | undefined;
  /** Declares a length, which must agree with `contentLength` and with the bytes that come. May be called again with a larger one. */
  declare(length: DeclaredLength): void;
  /** Hashes the range and compares its digest. Must be called before the walk asks for a field at or behind `range.from`. */
  cover(range: DigestRange): void;
  /** Gives up a range without comparing it. */
  uncover(range: DigestRange): void;
}

/** What the caller knows of the file, and how to hash it. */
export interface WalkOptions {
  /** Bytes that the upstream's headers promise. */
  readonly contentLength?: number | undefined;
  /** Without it only structure and length are checked, not the digests that the file states. */
  readonly createDigest?: CreateDigest | undefined;
}

/** The verdict `broken`. */
export const broken = (reason: string): Extract<Verdict, { kind: "broken" }> => ({ kind: "broken", reason });

/** Runs a walk over chunks of any size. It holds one field at a time, never a chunk. */
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
      if (!fits) fail(`the file declares ${formatDeclaredLength(declared)}, but Content-Length is ${contentLength}`);
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
      if (length.kind === "exact" && fed > length.bytes) fail(`the file declares ${formatDeclaredLength(length)}, but more follow`);
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
        fail(`the file declares ${formatDeclaredLength(length)}, but ends after ${fed}`);
      }
      if (verdict.kind !== "broken") {
        const mismatch = await ranges.finish();
        if (mismatch !== null) fail(mismatch);
      }
      return verdict;
    },
  };
}

function formatDeclaredLength(length: Extract<DeclaredLength, { bytes: number }>): string {
  return `${length.kind === "exact" ? "" : "at least "}${length.bytes} bytes`;
}
