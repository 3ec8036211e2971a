import type { ByteSpan } from "./byte-ranges.ts";

/** What a Content-Range header says; `size` of the whole representation is undefined where it said `*`. */
export type ContentRange =
  | { readonly kind: "range"; readonly first: number; readonly last: number; readonly size: number | undefined }
  /** Of a 416: the size against which no range could be satisfied. */
  | { readonly kind: "unsatisfied"; readonly size: number };

/** `bytes first-last/size`, always with numeric positions and total: zchunk's parser takes nothing else. */
export function formatContentRange(span: ByteSpan, size: number): string {
  return `bytes ${span.offset}-${span.offset + span.length - 1}/${size}`;
}

/** Content-Range of a 416 (RFC 9110 §14.4). */
export function formatUnsatisfiedRange(size: number): string {
  return `bytes */${size}`;
}

/**
 * Parses a Content-Range header (RFC 9110 §14.4). Null: absent, another unit, malformed, contradictory or past 2^53. Where the body belongs is
 * then unknown.
 */
export function parseContentRange(header: string | null): ContentRange | null {
  const match = /^bytes (?:(\d+)-(\d+)|\*)\/(\d+|\*)$/i.exec(header ?? "");
  if (match === null) return null;
  const [, firstText, lastText, sizeText] = match;
  const size = sizeText === "*" ? undefined : Number(sizeText);
  if (size !== undefined && !Number.isSafeInteger(size)) return null;
  if (firstText === undefined) return size === undefined ? null : { kind: "unsatisfied", size };
  const first = Number(firstText);
  const last = Number(lastText);
  // RFC 9110 §14.4: invalid if last-pos is less than first-pos, or the complete-length is not greater than last-pos.
  if (!Number.isSafeInteger(last) || last < first || (size !== undefined && size <= last)) return null;
  return { kind: "range", first, last, size };
}
