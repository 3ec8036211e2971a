import type { ObjectRange } from "./object-store.ts";

/** Positions of the first byte and of the byte after the last. */
export interface ResolvedRange {
  readonly start: number;
  readonly end: number;
}

/** The wanted part of an object of `size` bytes, cut off at its end; null where no wanted byte lies inside it. Without `wanted`, all of it. */
export function resolveObjectRange(wanted: ObjectRange | undefined, size: number): ResolvedRange | null {
  if (wanted === undefined) return { start: 0, end: size };
  if ("suffix" in wanted) return wanted.suffix > 0 && size > 0 ? { start: Math.max(0, size - wanted.suffix), end: size } : null;
  const end = Math.min(size, wanted.offset + (wanted.length ?? size));
  return wanted.offset < end ? { start: wanted.offset, end } : null;
}
