import type { Wanted } from "./object-store.ts";

/** Positions of the first byte and of the one after the last. */
export interface WantedRange {
  readonly start: number;
  readonly end: number;
}

/** The wanted part of `size` bytes, clipped to their end; null where no byte of them is wanted. All of them without `wanted`. */
export function resolveWanted(wanted: Wanted | undefined, size: number): WantedRange | null {
  if (wanted === undefined) return { start: 0, end: size };
  if ("suffix" in wanted) return wanted.suffix > 0 && size > 0 ? { start: Math.max(0, size - wanted.suffix), end: size } : null;
  const end = Math.min(size, wanted.offset + (wanted.length ?? size));
  return wanted.offset < end ? { start: wanted.offset, end } : null;
}
