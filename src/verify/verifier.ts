/**
 * Whether a file is what its own structure says it should be. `whole`: its format, its length and the digests that it states of itself agree;
 * `broken`: they do not, and `reason` says how in words for log and client; `unknown`: its format is none that is known here, or states no length.
 */
export type Verdict = { readonly kind: "whole" } | { readonly kind: "broken"; readonly reason: string } | { readonly kind: "unknown" };

/**
 * The length in bytes that the file declares of itself. `pending`: not read yet; `exact`: rpm, deb; `at-least`: iso, and a deb to which members may
 * be appended; `unknown`: the format states none, or there is no known format.
 */
export type DeclaredLength =
  | { readonly kind: "pending" }
  | { readonly kind: "exact"; readonly bytes: number }
  | { readonly kind: "at-least"; readonly bytes: number }
  | { readonly kind: "unknown" };

/** Verifies one file while it passes, from its first byte to its last, in constant memory. No input makes it throw. */
export interface Verifier {
  /** Takes the bytes that follow those fed before. The view is not kept; the next call must wait for a returned promise. */
  feed(chunk: Uint8Array): void | Promise<void>;
  /**
   * The declared length, as soon as it is known; no more `pending` once 1 MiB was fed. The end of a deb's last member so far is `exact` only where
   * `contentLength` equals it.
   */
  declared(): DeclaredLength;
  /** Why the file is broken, as soon as that is known, so that the reader can stop early; null: not broken so far. */
  broken(): string | null;
  /** The verdict, after the last byte was fed. */
  finish(): Promise<Verdict>;
}
