import { isImmutable } from "../../config/config.ts";
import type { StoredObject } from "../../store/stored-object.ts";
import type { SliceLease } from "../flight/leases.ts";
import type { Fill, Run, SliceBuffer } from "../shared/fill.ts";
import { restSlice, restVerdict } from "./at-rest.ts";
import type { PumpDependencies } from "./dependencies.ts";
import type { IndexVerdict } from "./index-verdict.ts";

/** The last byte has come, and the verdict: the last write, and the release of the bytes held back. `isProven`: the body's length or its end was seen. */
export async function finish(
  { fill, lease, run }: { readonly fill: Fill; readonly lease: SliceLease; readonly run: Run },
  described: StoredObject,
  last: SliceBuffer,
  verdict: Extract<IndexVerdict, { ok: true }>,
  isProven: boolean,
  deps: PumpDependencies,
): Promise<void> {
  const isUnproven = !isProven && verdict.verified === "length";
  const object: StoredObject = { ...described, ...provenFacts(verdict), ...(isUnproven ? { verified: "none" } : {}) };
  // It may have been cut: a small file that may change is kept for the case that no upstream answers (serve/freshness.ts), no package is.
  if (isUnproven && (isImmutable(fill.target.class) || object.sliceBytes !== undefined)) fill.storable = false;
  fill.object = object;
  run.progressAt = deps.now();
  // Clients that wait for the whole get it as soon as it is judged. Where a client gets it already, its last byte means that it is stored; and
  // where an older version is stored, no client may meet that again.
  const isHeld = object.sliceBytes === undefined && object.size <= deps.config.holdBytes && !fill.promised;
  if (isHeld && !fill.replaces) releaseBuffer(fill, last);
  const isNotedEarlier = fill.published;
  await restSlice(fill, object, last, deps);
  releaseBuffer(fill, last);
  if (fill.storable) deps.onStored(fill.target, fill.object);
  if (isNotedEarlier && object.sliceBytes !== undefined && object.verified !== "none") await restVerdict(fill, object, deps);
  commit(lease, last);
}

/** What is kept of a verdict beside the bytes. */
function provenFacts({ verified, sha256, digest, isOpen }: Extract<IndexVerdict, { ok: true }>): Partial<StoredObject> {
  return {
    verified,
    ...(sha256 === undefined ? {} : { sha256 }),
    ...(digest === undefined ? {} : { digest }),
    ...(isOpen === true ? { provisional: true } : {}),
  };
}

function releaseBuffer(fill: Fill, buffer: SliceBuffer): void {
  buffer.released = true;
  fill.changed.notify();
}

/** Followers hear of a slice once they can read it from the store. */
export function commit(lease: SliceLease, { atRest, index }: SliceBuffer): void {
  if (atRest) void lease.tell({ kind: "commit", slice: index });
}
