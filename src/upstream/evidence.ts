import type { KnownBytes } from "./upstream.ts";

/** What two bodies must have in common to be taken for one file: a re-signed rpm differs in its first kilobytes only. */
export const HEAD_BYTES = 131_072;
/** … and before the offset at which the one goes on with the other's bytes. */
export const TAIL_BYTES = 65_536;

/** Bytes of the head of a file of that size. */
export function headSize(representation: { readonly size: number | undefined }): number {
  return Math.min(HEAD_BYTES, representation.size ?? HEAD_BYTES);
}

/** Delivered or stored bytes of one version, in bounded memory. */
export interface Evidence extends KnownBytes {
  /** Bytes that follow all those added before. */
  add(chunk: Uint8Array): void;
}

/**
 * Remembers the head of the file and the last bytes delivered, and asks `known` for what came before.
 * @param first position of the first byte that will be added.
 * @param size of the whole file, where known: less memory for a small one.
 */
export function createEvidence(first: number, size: number | undefined, known: KnownBytes | undefined): Evidence {
  const headLength = first === 0 ? headSize({ size }) : 0;
  let head: Uint8Array = new Uint8Array(0);
  /** Byte `p` lies at `p % TAIL_BYTES`. */
  let ring: Uint8Array | undefined;
  let position = first;

  function add(chunk: Uint8Array): void {
    // Not before there are bytes to keep: most bodies come in one piece and never need any.
    if (head.length < headLength) head = new Uint8Array(headLength);
    if (position < head.length) head.set(chunk.subarray(0, head.length - position), position);
    const from = Math.max(position, position + chunk.length - TAIL_BYTES);
    ring ??= new Uint8Array(TAIL_BYTES);
    for (let at = from; at < position + chunk.length;) {
      const slot = at % TAIL_BYTES;
      const piece = chunk.subarray(at - position, at - position + TAIL_BYTES - slot);
      ring.set(piece, slot);
      at += piece.length;
    }
    position += chunk.length;
  }

  function readRing(from: number, to: number): Uint8Array {
    const bytes = new Uint8Array(to - from);
    for (let at = from; ring !== undefined && at < to;) {
      const slot = at % TAIL_BYTES;
      const piece = ring.subarray(slot, Math.min(TAIL_BYTES, slot + to - at));
      bytes.set(piece, at - from);
      at += piece.length;
    }
    return bytes;
  }

  async function read(from: number, to: number): Promise<Uint8Array | null> {
    if (to <= Math.min(position, head.length)) return head.slice(from, to);
    const ringFrom = Math.max(first, position - TAIL_BYTES);
    if (to <= position && from >= ringFrom) return readRing(from, to);
    const older = (await known?.read(from, Math.min(to, ringFrom))) ?? null;
    if (older === null || older.length !== Math.min(to, ringFrom) - from) return null;
    if (to <= ringFrom) return older;
    const bytes = new Uint8Array(to - from);
    bytes.set(older);
    bytes.set(readRing(ringFrom, to), older.length);
    return bytes;
  }

  return { add, read };
}

/** A stretch of the file that another body must repeat. */
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
