import { elapsedMs } from "../clock/elapsed.ts";
import type { StoredObject } from "../store/stored-object.ts";
import { letGo, lengthAtRest, pieceAtRest, type Piece } from "./pieces.ts";
import type { PumpDependencies } from "./pump/dependencies.ts";
import type { Fill } from "./shared/fill.ts";

/**
 * A stream that lay unread for longer is opened anew, since the store may have cut it; and for a client that takes longer over one slice none is opened: a round
 * trip is a hundredth of that time.
 */
const UNREAD_MS = 30_000;

/**
 * The stored bytes that one reader wants next, opened while the bytes before them are sent. Without that the client's connection would stand idle for a round
 * trip to the store at each slice. At most one piece is open, as a stream of which nothing is read yet.
 */
export interface Ahead {
  /** Begins to open the bytes from `from` to the end of their slice, or to `to`, in place of what was opened before. `sendingMs`: how long the last piece took. */
  open(object: StoredObject, from: number, to: number, sendingMs: number): void;
  /**
   * Gives up what was opened from `from` on, where it is of the same version, ends before `to` and is still fresh: it resolves to null where the store does not
   * have it. Null at once: no such bytes were opened.
   */
  take(object: StoredObject, from: number, to: number): Promise<Piece | null> | null;
  /** Lets go of what was opened, also where the store answers only later. */
  close(): void;
}

interface Opened {
  readonly version: string;
  readonly from: number;
  readonly length: number;
  readonly openedAt: number;
  readonly piece: Promise<Piece | null>;
}

/** @param waitUntil keeps the request alive until a stream that it does not need is cancelled. */
export function createAhead(
  fill: Fill,
  { store, now, isStoreFar = true }: Pick<PumpDependencies, "store" | "now" | "isStoreFar">,
  waitUntil: (work: Promise<unknown>) => void,
): Ahead {
  let opened: Opened | null = null;

  function close(): void {
    if (opened !== null) waitUntil(opened.piece.then(letGo));
    opened = null;
  }

  return {
    close,
    open(object, from, to, sendingMs) {
      close();
      if (!isStoreFar || sendingMs >= UNREAD_MS) return;
      const length = lengthAtRest(fill, from, to);
      opened = { version: object.version, from, length, openedAt: now(), piece: pieceAtRest(store, fill, object, from, to) };
    },
    take(object, from, to) {
      if (opened === null) return null;
      const { version, length, openedAt, piece } = opened;
      const isWanted = version === object.version && opened.from === from && from + length <= to;
      if (!isWanted || elapsedMs(openedAt, now()) >= UNREAD_MS) return null;
      opened = null;
      return piece;
    },
  };
}
