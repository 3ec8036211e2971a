import { createDigestRanges, type CreateDigest, type DigestRange } from "./digest-ranges.ts";

/**
 * Whether a file is what its own structure says it should be. `whole`: its format, its length and the digests that it states of itself agree;
 * `broken`: they do not, and `reason` says how in words for log and client; `unknown`: its format is none that is known here, or states no length.
 */
export type Verdict = { readonly kind: "whole" | "unknown" } | Broken;
export type Broken = { readonly kind: "broken"; readonly reason: string };

/**
 * The length in bytes that the file declares of itself. `pending`: not read yet; `exact`: rpm, deb; `at-least`: iso, and a deb to which members may
 * be appended; `unknown`: the format states none, or there is no known format.
 */
export type DeclaredLength =
  | { readonly kind: "pending" | "unknown" }
  /** `isUsual`: most files end there, so that it can be taken for the length until more comes. */
  | { readonly kind: "exact" | "at-least"; readonly bytes: number; readonly isUsual?: boolean };

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

export interface WalkOptions {
  /** Bytes that the upstream's headers promise. */
  readonly contentLength?: number | undefined;
  /** Without it only structure and length are checked, not the digests that the file states. */
  readonly createDigest?: CreateDigest | undefined;
}

export const broken = (reason: string): Broken => ({ kind: "broken", reason });

/** Whether `bytes` begin with all of `start`. */
export function beginsWith(bytes: ArrayLike<number>, start: Uint8Array | readonly number[]): boolean {
  return start.every((byte: number, index: number) => bytes[index] === byte);
}

/** Verifies one file by a walk while its chunks, of any size, pass. It holds one field at a time, never a chunk. No input makes it throw. */
export function createWalker(startWalk: (file: WalkedFile) => Walk, { contentLength, createDigest }: WalkOptions) {
  const ranges = createDigestRanges(createDigest);
  let fed = 0;
  let length: DeclaredLength = { kind: "pending" };
  let verdict: Verdict | null = null;

  const fail = (reason: string | null): void => {
    if (reason !== null && verdict?.kind !== "broken") verdict = broken(reason);
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
    /** Takes the bytes that follow those fed before. The view is not kept; the next call must wait for a returned promise. */
    feed(chunk: Uint8Array): void | Promise<void> {
      if (verdict?.kind === "broken") return;
      advance(chunk);
      const start = fed;
      fed += chunk.length;
      if (length.kind === "exact" && fed > length.bytes) fail(`the file declares ${formatDeclaredLength(length)}, but more follow`);
      return ranges.isEmpty() ? undefined : ranges.feed(start, chunk).then(fail);
    },
    /**
     * The declared length, as soon as it is known; no more `pending` once 1 MiB was fed. The end of a deb's last member so far is `exact` only where
     * `contentLength` equals it.
     */
    declared: (): DeclaredLength =>
      length.kind === "pending" && (fed >= DECLARED_WITHIN_BYTES || verdict !== null) ? { kind: "unknown" } : length,
    /** Why the file is broken, as soon as that is known, so that the reader can stop early; null: not broken so far. */
    broken: () => (verdict?.kind === "broken" ? verdict.reason : null),
    /** The verdict, after the last byte was fed. */
    async finish(): Promise<Verdict> {
      while (verdict === null) resume(held.subarray(0, heldLength));
      if ("bytes" in length && fed < length.bytes) fail(`the file declares ${formatDeclaredLength(length)}, but ends after ${fed}`);
      if (verdict.kind !== "broken") fail(await ranges.finish());
      return verdict;
    },
  };
}

function formatDeclaredLength(length: Extract<DeclaredLength, { bytes: number }>): string {
  return `${length.kind === "exact" ? "" : "at least "}${length.bytes} bytes`;
}
