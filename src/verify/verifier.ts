/**
 * What a file's own structure says of it, fed in order from its first byte. Constant memory, never throws on any input.
 * `unknown` means: no format that is known as far as one can tell, and no judgement on it.
 */
export type Verdict = { readonly kind: "whole" } | { readonly kind: "broken"; readonly reason: string } | { readonly kind: "unknown" };

/** The length that the file declares: exact (rpm, deb), at least (iso), not to be known, or not yet seen. */
export type DeclaredLength =
  | { readonly kind: "pending" }
  | { readonly kind: "exact"; readonly bytes: number }
  | { readonly kind: "at-least"; readonly bytes: number }
  | { readonly kind: "unknown" };

export interface Verifier {
  /** Bytes that follow all those fed before. The view is not kept. */
  feed(chunk: Uint8Array): void | Promise<void>;
  /** As soon as known, and settled (not `pending`) at the latest after 1 MiB was fed. A deb whose next member ends the file is `exact` for that end only if `contentLength` equals it. */
  declared(): DeclaredLength;
  /** Once broken, at once; else `unknown` or not decided: null. Lets the reader stop early. */
  broken(): string | null;
  /** After the last byte. */
  finish(): Promise<Verdict>;
}
