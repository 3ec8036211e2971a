/** One range of a Range header, as written: positions may lie behind the end of any representation, and be as great as Infinity. */
export type ByteRange = { readonly first: number; readonly last?: number } | { readonly suffix: number };

/** `length` bytes, at least one, from position `offset` on; all of them lie inside the representation. */
export interface ByteSpan {
  readonly offset: number;
  readonly length: number;
}

/** A header with more ranges is ignored, as RFC 9110 §14.2 allows for many small ranges; zchunk sends up to 256. @internal */
export const MAX_RANGES = 1024;

/**
 * Parses `Range: bytes=…` (RFC 9110 §14.1.1, §14.2).
 * @returns the ranges in request order, at least one; null when the header is to be ignored: absent, another unit, invalid, too many ranges.
 */
export function parseRange(header: string | null): readonly ByteRange[] | null {
  // RFC 9110 §14.1: "All range unit names are case-insensitive".
  const set = header === null ? undefined : /^bytes=(.*)$/i.exec(header)?.[1];
  if (set === undefined) return null;
  // The split stops one element above the limit, so that a very long header costs no more than one just above it.
  const elements = set.split(",", MAX_RANGES + 1);
  if (elements.length > MAX_RANGES) return null;
  const ranges: ByteRange[] = [];
  for (const element of elements.map((text) => text.trim())) {
    // RFC 9110 §5.6.1.2: a recipient must accept empty list elements.
    if (element === "") continue;
    const range = parseByteRange(element);
    if (range === null) return null;
    ranges.push(range);
  }
  return ranges.length === 0 ? null : ranges;
}

function parseByteRange(text: string): ByteRange | null {
  const [, first = "", last = ""] = /^(\d*)-(\d*)$/.exec(text) ?? [];
  if (first === "") return last === "" ? null : { suffix: Number(last) };
  if (last === "") return { first: Number(first) };
  const range = { first: Number(first), last: Number(last) };
  // RFC 9110 §14.1.1: "An int-range is invalid if the last-pos value is present and less than first-pos".
  return range.last < range.first ? null : range;
}

/**
 * Resolves ranges against the size of the representation (RFC 9110 §14.1.2).
 * @param size bytes of the whole representation.
 * @returns the satisfiable ranges in request order, clamped to the size and never merged; empty when the whole set is unsatisfiable (416).
 */
export function resolveRanges(ranges: readonly ByteRange[], size: number): readonly ByteSpan[] {
  return ranges.map((range) => resolveRange(range, size)).filter((span) => span.length > 0);
}

/** Resolves one range, as `resolveRanges` does; `length` is 0 where it is unsatisfiable. */
export function resolveRange(range: ByteRange, size: number): ByteSpan {
  if ("suffix" in range) {
    const length = Math.min(range.suffix, size);
    return { offset: size - length, length };
  }
  const end = Math.min((range.last ?? size) + 1, size);
  return { offset: range.first, length: Math.max(end - range.first, 0) };
}
