import { keyAtRest } from "../store/keys.ts";
import type { StoredObject } from "../store/stored-object.ts";
import type { UpstreamAnswer } from "../upstream/upstream.ts";
import type { PumpDependencies } from "./pump/dependencies.ts";
import { ALONE } from "./flight/leases.ts";
import { giveUp, unpublish } from "./pump/give-up.ts";
import { pump, type PumpOptions } from "./pump/pump.ts";
import { STALLED_MS, UNKNOWN_SIZE, type Fill, type Run } from "./shared/fill.ts";

export interface ObtainOptions extends Pick<PumpOptions, "expected"> {
  /** Keeps the request alive while it fetches for others, after its client has left. */
  readonly waitUntil: (promise: Promise<unknown>) => void;
  /** Whether the coordinator may answer `stored`; false where the caller has just looked at the store again. */
  readonly recheck: boolean;
}

/** The slice wanted next, and the last one wanted after it; null: to the end. */
export type Slices = Pick<Run, "slice" | "last">;

/**
 * One step towards `slice`, after which the caller looks again: starts a run that fetches it and what follows, if the coordinator agrees, or waits while
 * another request fetches it. `opened`: an upstream's answer to begin with. Returns the run, "followed" after a wait for another isolate, else null.
 */
export async function obtain(
  fill: Fill,
  { slice, last }: Slices,
  opened: UpstreamAnswer | undefined,
  { waitUntil, expected, recheck }: ObtainOptions,
  deps: PumpDependencies,
): Promise<Run | "followed" | null> {
  if (fill.claiming.has(slice)) {
    await fill.changed.wait(STALLED_MS);
    return null;
  }
  fill.claiming.add(slice);
  try {
    if (isShared(fill)) {
      await unpublish(fill, fill.object, deps);
      fill.end ??= { kind: "changed" };
      return null;
    }
    const claim = fill.isApart
      ? ALONE
      : await deps.leases.claimSlice(fill.key, slice, {
          recheck: recheck && !fill.begun && fill.object === null && opened === undefined,
          version: fill.object?.version,
        });
    switch (claim.kind) {
      case "stored":
        if (fill.object === null) fill.end = { kind: "stored" };
        return null;
      case "spoiled":
        // Its head may still be there, where a deletion failed: the next request is not to meet it again.
        await giveUp(fill, deps);
        fill.spoiled = true;
        fill.end ??= { kind: "changed" };
        return null;
      case "follow":
        await follow(fill, slice, claim, deps);
        return "followed";
      case "lead": {
        fill.tainted ||= claim.tainted;
        const run: Run = { isFromStart: slice === 0, slice, last, progressAt: deps.now(), abandoned: false, isUnproven: false };
        fill.runs.add(run);
        waitUntil(pump(fill, { run, lease: claim.lease, expected, opened, isShared: claim.isShared === true }, deps));
        return run;
      }
    }
  } finally {
    fill.claiming.delete(slice);
    fill.changed.notify();
  }
}

/**
 * Whether other mirrors read the version too. Then no unproven bytes may become a part of it: where it has lost a slice, it is dropped and the file is fetched
 * anew.
 */
function isShared({ target, key, object, storable }: Fill): boolean {
  return storable && object !== null && keyAtRest(target, object) !== key;
}

async function follow(
  fill: Fill,
  slice: number,
  { object, seen }: { readonly object: StoredObject | null; readonly seen: number },
  { leases }: PumpDependencies,
): Promise<void> {
  if (fill.object === null && object?.sliceBytes !== undefined) return adopt(fill, object);
  const followed = await leases.follow(fill.key, slice, { seen, wantObject: fill.object === null });
  if (followed.kind === "described") adopt(fill, followed.object);
  if (followed.kind === "failed") fill.end = followed.failure;
  if (followed.kind === "committed" && fill.object === null) fill.end = { kind: "stored" };
}

/** Takes the object as the other isolate's leader described it, which also publishes its head. */
function adopt(fill: Fill, object: StoredObject): void {
  // A body without a length can be read only where it is fetched.
  if (object.size === UNKNOWN_SIZE) return void (fill.end = { kind: "unshared" });
  fill.object = object;
  fill.sliceBytes = object.sliceBytes ?? fill.sliceBytes;
  fill.promised = fill.begun = fill.published = true;
}
