import type { Piece } from "./pieces.ts";
import type { Fill, FillEnd, Reader } from "./shared/fill.ts";

/** Takes delivered bytes. Both methods reject when the client has left. */
export interface Sink {
  write(bytes: Uint8Array): Promise<void>;
  /** Takes a whole stream natively; rejects where it ends before `length` bytes. */
  pipe(stream: ReadableStream<Uint8Array>, length: number): Promise<void>;
}

/** The bytes wanted cannot be delivered: a body that has begun must be aborted. */
export class DeliveryError extends Error {
  override readonly name = "DeliveryError";
  readonly end: FillEnd;
  constructor(end: FillEnd) {
    super(end.kind === "failure" ? end.detail : explain(end.kind));
    this.end = end;
  }
}

function explain(kind: Exclude<FillEnd["kind"], "failure">): string {
  return kind === "unproven"
    ? "nothing shows that what the upstream sends now continues what was sent"
    : `the upstream's file is ${kind} now`;
}

/** The end of a reader that was dropped. */
export const TOO_SLOW: FillEnd = { kind: "failure", status: 503, detail: "the client reads too slowly" };

/**
 * Writes a piece into the sink, and notes since when the client is being sent it. Rejects with what the sink throws. Where the fill is not stored it rejects
 * with `DeliveryError` as soon as the reader is dropped, also while its client takes nothing.
 */
export function send(piece: Piece, fill: Fill, reader: Reader, now: () => number, sink: Sink): Promise<void> {
  const sent = piece.stream === null ? sink.write(piece.bytes) : sink.pipe(piece.stream, piece.length);
  // A reader of what is stored holds nothing up.
  const dropped = fill.storable ? null : Promise.withResolvers<never>();
  reader.sending = { since: now(), stop: () => dropped?.reject(new DeliveryError(TOO_SLOW)) };
  return dropped === null ? sent : Promise.race([sent, dropped.promise]);
}
