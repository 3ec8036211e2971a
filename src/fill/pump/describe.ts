import { newVersion } from "../../store/keys.ts";
import { describeObject, type StoredObject } from "../../store/stored-object.ts";
import type { Representation } from "../../upstream/upstream.ts";
import type { SliceLease } from "../flight/leases.ts";
import { type Fill, type Growing, UNKNOWN_SIZE } from "../shared/fill.ts";
import type { PumpDependencies } from "./dependencies.ts";

/** A body, and the fill that it is for. */
export interface BodyOptions {
  readonly fill: Fill;
  readonly lease: SliceLease;
  /** Representation and type of the file itself, as `plainBody` gives them. */
  readonly representation: Representation;
  readonly contentType: string | undefined;
  /** See `ByteSource`. */
  readonly version: (() => Representation) | undefined;
}

/** From here on requests can be answered with what the upstream says of the object. */
export function describe(options: BodyOptions, size: number, { now }: PumpDependencies): StoredObject {
  const { fill, lease } = options;
  if (fill.object !== null) return fill.object;
  const { sliceBytes } = fill;
  const object = describeObject(describedBy(options), {
    version: fill.growing?.object.version ?? newVersion(),
    size,
    ...(size > sliceBytes ? { sliceBytes } : {}),
    storedAt: now(),
    verified: "none",
    ...(fill.tainted ? { tainted: true } : {}),
  });
  fill.object = object;
  void lease.tell({ kind: "describe", object });
  fill.changed.notify();
  return object;
}

/** The upstream that began the body may not be the one that sends it. */
function describedBy({ representation, contentType, version }: BodyOptions): Representation {
  const { etag, lastModified, upstream } = version?.() ?? representation;
  return { ...representation, contentType, etag, lastModified, upstream };
}

/** From here on bytes can go out, without a length; `length` of them have come. */
export function grow(options: BodyOptions, length: number, { now }: PumpDependencies): Growing {
  const { fill } = options;
  const facts = { version: newVersion(), size: UNKNOWN_SIZE, storedAt: now(), verified: "none" } as const;
  fill.growing ??= { object: { ...describeObject(describedBy(options), facts), sliceBytes: fill.sliceBytes }, length };
  fill.growing.length = length;
  return fill.growing;
}
