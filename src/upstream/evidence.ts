import type { KnownBytes } from "./upstream.ts";

/** Bytes from the start of the file in which two bodies must agree to count as one file: a re-signed rpm differs only in its first kilobytes. */
export const COMPARED_HEAD_BYTES = 131_072;
/** Bytes before the offset of a resume in which they must agree too. */
export const COMPARED_TAIL_BYTES = 65_536;

/** How many bytes the compared head of this representation has. */
export function headSize(representation: { readonly size: number | undefined }): number {
  return Math.min(COMPARED_HEAD_BYTES, representation.size ?? COMPARED_HEAD_BYTES);
}

/**
 * Bytes of one version, delivered or stored, with which to compare another body. Remembers the head of the file and the last bytes delivered, and asks
 * `known` for what came before.
 * @param first position in the file of the first byte that will be added.
 * @param size bytes of the whole file, or undefined; a small file takes less memory.
 */
export function createEvidence(first: number, size: number | undefined, known: KnownBytes | undefined) {
  const headLength = first === 0 ? headSize({ size }) : 0;
  let head: Uint8Array = new Uint8Array(0);
  /** Byte `p` lies at `p % COMPARED_TAIL_BYTES`. */
  let ring: Uint8Array | undefined;
  let position = first;

  /** Takes the bytes that follow those added before. */
  function add(chunk: Uint8Array): void {
    // Allocated with the first bytes that must be kept: most bodies come in one piece, which is their last, and need no memory.
    if (head.length < headLength) head = new Uint8Array(headLength);
    if (position < head.length) head.set(chunk.subarray(0, head.length - position), position);
    const from = Math.max(position, position + chunk.length - COMPARED_TAIL_BYTES);
    ring ??= new Uint8Array(COMPARED_TAIL_BYTES);
    for (let at = from; at < position + chunk.length;) {
      const slot = at % COMPARED_TAIL_BYTES;
      const piece = chunk.subarray(at - position, at - position + COMPARED_TAIL_BYTES - slot);
      ring.set(piece, slot);
      at += piece.length;
    }
    position += chunk.length;
  }

  function readRing(from: number, to: number): Uint8Array {
    const bytes = new Uint8Array(to - from);
    for (let at = from; ring !== undefined && at < to;) {
      const slot = at % COMPARED_TAIL_BYTES;
      const piece = ring.subarray(slot, Math.min(COMPARED_TAIL_BYTES, slot + to - at));
      bytes.set(piece, at - from);
      at += piece.length;
    }
    return bytes;
  }

  const read: KnownBytes = async (from, to) => {
    if (to <= Math.min(position, head.length)) return head.slice(from, to);
    const ringFrom = Math.max(first, position - COMPARED_TAIL_BYTES);
    if (to <= position && from >= ringFrom) return readRing(from, to);
    const older = (await known?.(from, Math.min(to, ringFrom))) ?? null;
    if (older === null || older.length !== Math.min(to, ringFrom) - from) return null;
    if (to <= ringFrom) return older;
    const bytes = new Uint8Array(to - from);
    bytes.set(older);
    bytes.set(readRing(ringFrom, to), older.length);
    return bytes;
  };

  return { add, read };
}

/** Bytes of the file from position `from` on, which another body must repeat. */
export interface Region {
  readonly from: number;
  readonly bytes: Uint8Array;
}

/** Whether `chunk`, which begins at `position`, repeats every region as far as they overlap. */
export function agreesWith(regions: readonly Region[], position: number, chunk: Uint8Array): boolean {
  return regions.every(({ from, bytes }) => {
    const start = Math.max(from, position);
    const end = Math.min(from + bytes.length, position + chunk.length);
    for (let at = start; at < end; at++) if (bytes[at - from] !== chunk[at - position]) return false;
    return true;
  });
}
