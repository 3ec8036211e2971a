import { elapsedMs } from "../clock/elapsed.ts";
import type { Ahead } from "./ahead.ts";
import { DeliveryError, send, type Sink, TOO_SLOW } from "./delivery.ts";
import { pieceAtRest, pieceInMemory } from "./pieces.ts";
import type { PumpDependencies } from "./pump/dependencies.ts";
import { HELD_BACK_BYTES, isDropped, STALLED_MS, type Fill, type Reader } from "./shared/fill.ts";

/**
 * All bytes of a body whose length is not known, as they come; the last ones after the verdict. Returns once the whole was delivered. Throws
 * `DeliveryError` where it cannot be, or what the sink throws.
 */
export async function deliverGrowing(
  fill: Fill,
  reader: Reader,
  ahead: Ahead,
  { store, now }: Pick<PumpDependencies, "store" | "now">,
  sink: Sink,
): Promise<void> {
  const { growing } = fill;
  const isInMemory = (position: number): boolean => fill.buffers.has(Math.floor(position / fill.sliceBytes));
  let sendingMs = 0;
  for (let position = 0; ;) {
    const { object } = fill;
    if (reader.isDropped) throw new DeliveryError(TOO_SLOW);
    if (fill.spoiled) throw new DeliveryError({ kind: "failure", status: 502, detail: "the upstream's bytes turned out bad" });
    if (object !== null && position === object.size) return;
    const placed = object ?? growing?.object;
    const to = object?.size ?? (growing?.length ?? 0) - HELD_BACK_BYTES;
    const inMemory = placed === undefined ? null : pieceInMemory(fill, placed, position, to);
    const isAtRest = placed !== undefined && to > position && !isInMemory(position);
    const piece =
      inMemory ?? (isAtRest ? await (ahead.take(placed, position, to) ?? pieceAtRest(store, fill, placed, position, to)) : null);
    if (piece !== null) {
      position += piece.length;
      ahead.close();
      const isNextAtRest =
        piece.stream !== null && to >= Math.min(position + fill.sliceBytes, object?.size ?? Infinity) && !isInMemory(position);
      if (placed !== undefined && isNextAtRest && to > position) ahead.open(placed, position, to, sendingMs);
      const begunAt = now();
      await send(piece, fill, reader, now, sink);
      sendingMs = elapsedMs(begunAt, now());
      reader.sending = undefined;
      reader.position = position;
      if (!fill.storable) fill.changed.notify();
      continue;
    }
    if (fill.end !== null) throw new DeliveryError(fill.end);
    // Only the run that has read its beginning can go on with it.
    if ([...fill.runs].every((run) => isDropped(run, now())))
      throw new DeliveryError({ kind: "failure", status: 502, detail: "the fetch of a body without a length was given up" });
    await fill.changed.wait(STALLED_MS);
  }
}
