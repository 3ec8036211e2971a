import type { ByteSpan } from "./byte-ranges.ts";

/** A parsed Content-Range header: positions of first and last byte, and bytes of the whole representation; `size` is undefined where it says `*`. */
export type ContentRange =
  | { readonly kind: "range"; readonly first: number; readonly last: number; readonly size: number | undefined }
  /** Of a 416: no range lies inside a representation of this size. */
  | { readonly kind: "unsatisfied"; readonly size: number };

/** Content-Range of a 206 (RFC 9110 §14.4), `bytes first-last/size`: always with a numeric size, since zchunk does not accept `*`. */
export function formatContentRange(span: ByteSpan, size: number): string {
  return `bytes ${span.offset}-${span.offset + span.length - 1}/${size}`;
}

/** Content-Range of a 416 (RFC 9110 §14.4). */
export function formatUnsatisfiedRange(size: number): string {
  return `bytes */${size}`;
}

/**
 * Parses a Content-Range header (RFC 9110 §14.4).
 * @returns null when it is absent, malformed, contradictory, in another unit or beyond 2^53: the place of the body in the file is then unknown.
 */
export function parseContentRange(header: string | null): ContentRange | null {
  const [, firstText, lastText, sizeText] = /^bytes (?:(\d+)-(\d+)|\*)\/(\d+|\*)$/i.exec(header ?? "") ?? [];
  if (sizeText === undefined) return null;
  const size = sizeText === "*" ? undefined : Number(sizeText);
  if (size !== undefined && !Number.isSafeInteger(size)) return null;
  if (firstText === undefined) return size === undefined ? null : { kind: "unsatisfied", size };
  const first = Number(firstText);
  const last = Number(lastText);
  // RFC 9110 §14.4: invalid if last-pos is less than first-pos, or the complete-length is not greater than last-pos.
  if (!Number.isSafeInteger(last) || last < first || (size !== undefined && size <= last)) return null;
  return { kind: "range", first, last, size };
}
