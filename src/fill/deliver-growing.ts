import { DeliveryError, send, type Sink, TOO_SLOW } from "./delivery.ts";
import { pieceAtRest, pieceInMemory } from "./pieces.ts";
import type { PumpDependencies } from "./pump/dependencies.ts";
import { HELD_BACK_BYTES, isDropped, STALLED_MS, type Fill, type Reader } from "./shared/fill.ts";

/**
 * All bytes of a body whose length is not known, as they come; the last ones after the verdict. Returns once the whole was delivered. Throws
 * `DeliveryError` where it cannot be, or what the sink throws.
 */
export async function deliverGrowing(fill: Fill, reader: Reader, deps: Pick<PumpDependencies, "store" | "now">, sink: Sink): Promise<void> {
  const { growing } = fill;
  for (let position = 0; ;) {
    const { object } = fill;
    if (reader.isDropped) throw new DeliveryError(TOO_SLOW);
    if (fill.spoiled) throw new DeliveryError({ kind: "failure", status: 502, detail: "the upstream's bytes turned out bad" });
    if (object !== null && position === object.size) return;
    const placed = object ?? growing?.object;
    const to = object?.size ?? (growing?.length ?? 0) - HELD_BACK_BYTES;
    const inMemory = placed === undefined ? null : pieceInMemory(fill, placed, position, to);
    const isAtRest = fill.buffers.get(Math.floor(position / fill.sliceBytes)) === undefined;
    const piece =
      inMemory ?? (placed !== undefined && isAtRest && to > position ? await pieceAtRest(deps.store, fill, placed, position, to) : null);
    if (piece !== null) {
      await send(piece, fill, reader, deps.now, sink);
      reader.sending = undefined;
      position += piece.length;
      reader.position = position;
      if (!fill.storable) fill.changed.notify();
      continue;
    }
    if (fill.end !== null) throw new DeliveryError(fill.end);
    // Only the run that has read its beginning can go on with it.
    if ([...fill.runs].every((run) => isDropped(run, deps.now())))
      throw new DeliveryError({ kind: "failure", status: 502, detail: "the fetch of a body without a length was given up" });
    await fill.changed.wait(STALLED_MS);
  }
}
