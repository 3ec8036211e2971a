import { elapsedMs } from "../clock/elapsed.ts";
import type { Target } from "../route/target.ts";
import { deleteSlices } from "../store/delete-version.ts";
import type { StoredObject } from "../store/stored-object.ts";
import type { UpstreamAnswer } from "../upstream/upstream.ts";
import type { ObtainOptions } from "./obtain.ts";
import type { PumpDependencies } from "./pump/dependencies.ts";
import { Reading } from "./reading.ts";
import { createFill, isComing, isDropped, type Fill, type FillEnd } from "./shared/fill.ts";
import { dropBuffers, dropReadBuffers, dropStalled, dropStoredBuffers } from "./shared/slice-buffers.ts";

/** Where memory is short, one reader after the other is ended, no faster than this. */
const DROP_PAUSE_MS = 100;

export interface FillRequest extends ObtainOptions {
  readonly target: Target;
  /** First byte wanted, and the last one where it is known that no more are. */
  readonly first: number;
  readonly last?: number;
  /** The stored head of a sliced object, some slices of which may be missing. */
  readonly head?: StoredObject | null;
  /** An upstream's answer to begin with: another version than the stored one, which it replaces. */
  readonly opened?: UpstreamAnswer;
  /** Fetches the file for this request alone, and stores nothing: others read a version of it that cannot be compared with what the upstream has. */
  readonly isApart?: boolean;
  /** Fetches it before a client asks for it: no file of another mirror is evicted for it. */
  readonly isAhead?: boolean;
}

/** A miss, once: all requests for the same object at the same time read from the same fill. */
export interface Fills {
  /** The caller must close the reading. */
  open(request: FillRequest): Promise<FillEnd | { readonly kind: "reading"; readonly reading: Reading }>;
  /** What this isolate fetches now. */
  list(): readonly Fill[];
}

export function createFills(deps: PumpDependencies): Fills {
  const fills = new Map<string, Fill>();
  /** Also those that another fill has replaced under their key. */
  const all = new Set<Fill>();
  let droppedAt = 0;
  // Fills that all wait for room for their next slice, or have slow readers, would otherwise keep each other waiting.
  deps.memory.onShortage(() => {
    all.forEach(dropStoredBuffers);
    all.forEach(dropReadBuffers);
    // What an ended reader held is free a moment later.
    if (elapsedMs(droppedAt, deps.now()) >= DROP_PAUSE_MS && dropStalled(all, deps.now())) droppedAt = deps.now();
  });

  function join(request: FillRequest): Fill {
    const { target, head = null, opened, isApart = false, isAhead = false } = request;
    if (isApart) {
      const apart = createFill(target, null, false, deps.config.sliceBytes, { isApart });
      all.add(apart);
      return apart;
    }
    const present = fills.get(target.key);
    if (present !== undefined && isLost(present)) forget(present);
    else if (present !== undefined && opened === undefined && isJoinable(present, request)) return present;
    const fill = createFill(target, head, opened !== undefined, deps.config.sliceBytes, { isAhead });
    fills.set(target.key, fill);
    all.add(fill);
    return fill;
  }

  function isJoinable(fill: Fill, { first, head = null }: FillRequest): boolean {
    if (fill.end !== null || fill.spoiled || fill.givenUp.has(fill.object?.version ?? "")) return false;
    if (head !== null && fill.object !== null && fill.object.version !== head.version) return false;
    // What is not stored can be read only while it is in memory: a request that comes too late fetches it again, apart from these buffers.
    const slice = Math.floor(first / fill.sliceBytes);
    return fill.storable || fill.buffers.has(slice) || isComing(fill, slice, deps.now());
  }

  /** The runtime dropped the request that was to store what went out already: without this check, it would go out from memory for ever. */
  function isLost({ storable, buffers, runs }: Fill): boolean {
    const isUnstored = storable && [...buffers.values()].some(({ released, atRest }) => released && !atRest);
    return isUnstored && [...runs].every((run) => isDropped(run, deps.now()));
  }

  function leave(fill: Fill, waitUntil: ObtainOptions["waitUntil"]): void {
    if (fill.readers.size > 0 || fill.runs.size > 0 || fill.claiming.size > 0 || !all.has(fill)) return;
    forget(fill);
    for (const version of fill.givenUp) waitUntil(dropSlices(fill.key, version));
  }

  async function dropSlices(key: string, version: string): Promise<void> {
    try {
      await deleteSlices(deps.store, version);
    } catch (error) {
      deps.onUnstored(key, `slices of a version that was given up may be left: ${String(error)}`);
    }
  }

  function forget(fill: Fill): void {
    dropBuffers(fill);
    all.delete(fill);
    if (fills.get(fill.key) === fill) fills.delete(fill.key);
  }

  return {
    async open(request) {
      const { first, last, opened } = request;
      const fill = join(request);
      const onClose = () => leave(fill, request.waitUntil);
      const waitUntil = (work: Promise<unknown>) => request.waitUntil(work.finally(onClose));
      const reading = new Reading(fill, deps, { ...request, waitUntil, onClose });
      try {
        const end = await reading.describe(first, last === undefined ? null : Math.floor(last / fill.sliceBytes), opened);
        // Where another request leads, this upstream's answer is one too many.
        if (opened?.kind === "body" && !reading.leads) opened.source.cancel("another request fetches it");
        if (end === null) return { kind: "reading", reading };
        reading.close();
        return end;
      } catch (error) {
        reading.close();
        throw error;
      }
    },
    list: () => [...fills.values()],
  };
}
