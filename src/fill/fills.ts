import type { Target } from "../route/target.ts";
import type { StoredObject } from "../store/stored-object.ts";
import type { UpstreamAnswer } from "../upstream/upstream.ts";
import { createFill, type Fill, type FillEnd, isComing, isDropped } from "./shared/fill.ts";
import type { PumpDependencies } from "./pump/pump.ts";
import { Reading, type ReadingOptions } from "./reading.ts";
import { dropBuffers, dropStoredBuffers } from "./shared/slice-buffers.ts";

export interface FillRequest extends ReadingOptions {
  readonly target: Target;
  /** Where it is stored; the target's key unless the content is stored by its digest. */
  readonly key?: string;
  /** First byte wanted, and the last one where it is known that no more are. */
  readonly first: number;
  readonly last?: number;
  /** The stored head of a sliced object, some slices of which may be missing. */
  readonly head?: StoredObject;
  /** An upstream's answer to begin with: another version than the stored one, which it replaces. */
  readonly opened?: UpstreamAnswer;
}

/** A miss, once: everyone who asks for the same object at the same time reads from the same fill. */
export interface Fills {
  open(request: FillRequest): Promise<FillEnd | { readonly kind: "reading"; readonly reading: Reading }>;
  /** What this isolate is fetching now. */
  list(): readonly Fill[];
}

export function createFills(deps: PumpDependencies): Fills {
  const fills = new Map<string, Fill>();
  /** Also those whose key another fill has taken. */
  const all = new Set<Fill>();
  // Without this, fills that all wait for their next slice, or are read slowly to their end, would keep each other waiting.
  deps.memory.onShortage(() => all.forEach(dropStoredBuffers));

  function join(request: FillRequest): Fill {
    const { target, head, opened } = request;
    const key = request.key ?? target.key;
    const known = fills.get(key);
    if (known !== undefined && isLost(known)) forget(known);
    const present = fills.get(key);
    const current =
      present !== undefined &&
      present.end === null &&
      !present.spoiled &&
      opened === undefined &&
      isReadable(present, request.first) &&
      (head === undefined || present.object === null || present.object.version === head.version);
    if (present !== undefined && current) return present;
    const fill = createFill(target, key, head ?? null, opened !== undefined, deps.config.sliceBytes);
    fills.set(key, fill);
    all.add(fill);
    return fill;
  }

  /** What is not stored can be read only by who is there in time: others fetch it for themselves, apart from that fill's buffers. */
  function isReadable(fill: Fill, first: number): boolean {
    const slice = Math.floor(first / fill.sliceBytes);
    return fill.storable || fill.buffers.has(slice) || isComing(fill, slice, deps.now());
  }

  /** Given out before it was stored, by a request that was dropped before it stored it: it would be given out for ever. */
  function isLost({ storable, buffers, runs }: Fill): boolean {
    const isUnstored = storable && [...buffers.values()].some(({ released, atRest }) => released && !atRest);
    return isUnstored && [...runs].every((run) => isDropped(run, deps.now()));
  }

  function leave(fill: Fill): void {
    if (fill.readers.size === 0 && fill.runs.size === 0 && fill.claiming.size === 0) forget(fill);
  }

  function forget(fill: Fill): void {
    dropBuffers(fill);
    all.delete(fill);
    if (fills.get(fill.key) === fill) fills.delete(fill.key);
  }

  return {
    async open(request) {
      const fill = join(request);
      const waitUntil = (work: Promise<unknown>) => request.waitUntil(work.finally(() => leave(fill)));
      const reading = new Reading(fill, deps, { waitUntil, expected: request.expected, recheck: request.recheck });
      const close = reading.close.bind(reading);
      reading.close = () => {
        close();
        leave(fill);
      };
      try {
        const end = await reading.describe(
          request.first,
          request.last === undefined ? null : Math.floor(request.last / fill.sliceBytes),
          request.opened,
        );
        // Where another request leads, the answer at hand is one too many.
        if (request.opened?.kind === "body" && !reading.leads) request.opened.source.cancel("another request fetches it");
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
