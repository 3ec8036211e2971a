import type { Target } from "../../route/target.ts";
import type { StoredObject } from "../../store/stored-object.ts";
import type { UpstreamFailure } from "../../upstream/upstream.ts";
import { createSignal, type Signal } from "./signal.ts";

/** The last bytes of an object wait for the verdict: a client that lacks them knows that it has not got the file. */
export const TAIL_BYTES = 16 * 1024;
/** A run that brought no byte for this long does not keep others from trying. */
export const STALLED_MS = 10_000;

/** A run that did nothing for this long has lost its request, of which the runtime tells nobody: no write to the store takes longer. */
const DROPPED_MS = 45_000;

export function isDropped(run: Run, now: number): boolean {
  return now - run.progressAt >= DROPPED_MS;
}

/**
 * One object being fetched, as this isolate sees it: the bytes at hand and what became of it. Plain data shared by all requests that read or
 * fetch it; no stream, no connection (those belong to the request that opened them).
 */
export interface Fill {
  readonly target: Target;
  /** Key in the store. */
  readonly key: string;
  /** Length of its slices: the stored object's own, which may be older than the configuration. */
  sliceBytes: number;
  /** Set once the upstream has described the object and its beginning did not contradict that. */
  object: StoredObject | null;
  /** Why there is no object, or why there will be no more bytes. Final. */
  end: FillEnd | null;
  /** Someone answers with `object`: from here on it cannot be exchanged for another version. */
  promised: boolean;
  /** The bytes of slices under way, or not yet at rest, by number. An object stored whole is slice 0. */
  readonly buffers: Map<number, SliceBuffer>;
  readonly runs: Set<Run>;
  /** Slices that one of this isolate's requests is asking the coordinator for. */
  readonly claiming: Set<number>;
  readonly readers: Set<Reader>;
  /** False when nothing (more) of it is stored: the bytes are passed on from memory, and dropped as the readers have had them. */
  storable: boolean;
  /** Its head takes the place of an older version's. */
  readonly replaces: boolean;
  /** The object was begun before (a head was found, or another run came first): later slices may be at rest already. */
  begun: boolean;
  /** A head of this version is in the store. */
  published: boolean;
  /** This version went bad: readers stop, also those that read what is at rest. */
  spoiled: boolean;
  /** An earlier version of this key went bad. */
  tainted: boolean;
  readonly changed: Signal;
}

export type FillEnd =
  | UpstreamFailure
  | { readonly kind: "absent"; readonly status: 404 | 410 }
  | { readonly kind: "unsatisfiable"; readonly size: number | undefined }
  /** Stored by somebody else in the meantime: look again. */
  | { readonly kind: "stored" }
  /** The upstream has another version now than the head that this fill began with. */
  | { readonly kind: "changed" }
  /** Encoded, or long and without a length: everyone fetches it for himself, and nothing is stored. */
  | { readonly kind: "unshared" };

export interface SliceBuffer {
  readonly index: number;
  /** Position of its first byte in the object. */
  readonly start: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  filled: number;
  /** The store has it. */
  atRest: boolean;
  /** Its last bytes may go out: judged as far as it can be, and at rest or never to be. */
  released: boolean;
  readonly free: (reusable: boolean) => void;
}

/** One upstream body being cut into slices, in order. */
export interface Run {
  /** Whether its bytes are judged as they come: from the first one on. */
  readonly isFromStart: boolean;
  /** The slice under way. */
  slice: number;
  /** The last slice wanted; null: to the end. */
  readonly last: number | null;
  /** Milliseconds since the epoch of the last byte. */
  progressAt: number;
  /** The request that pays for it has lost its client: it ends with the slice under way. */
  abandoned: boolean;
}

export interface Reader {
  /** It kept an unstored fill waiting for too long, and was left behind. */
  isDropped: boolean;
  /** Next byte wanted; what lies before may be dropped. */
  position: number;
}

export function createFill(target: Target, key: string, head: StoredObject | null, replaces: boolean, sliceBytes: number): Fill {
  return {
    target,
    key,
    sliceBytes: head?.sliceBytes ?? sliceBytes,
    object: head,
    end: null,
    promised: head !== null,
    buffers: new Map(),
    runs: new Set(),
    claiming: new Set(),
    readers: new Set(),
    replaces,
    storable: target.class !== "pass",
    begun: head !== null,
    published: head !== null,
    spoiled: false,
    tainted: head?.tainted === true,
    changed: createSignal(),
  };
}

export function endFill(fill: Fill, end: FillEnd): void {
  fill.end ??= end;
  fill.changed.notify();
}

export function lastSlice(size: number, sliceBytes: number): number {
  return Math.max(0, Math.ceil(size / sliceBytes) - 1);
}

/** How far `object` may be read while `buffer` holds the slice in question: its tail waits until the last slice is released. */
export function readableEnd(object: StoredObject, sliceBytes: number, buffer: SliceBuffer): number {
  const end = buffer.start + buffer.filled;
  if (buffer.released || buffer.index < lastSlice(object.size, sliceBytes)) return end;
  return Math.min(end, Math.max(buffer.start, object.size - TAIL_BYTES));
}

/** Whether a live run of this isolate is at `slice` or one before it: waiting is quicker than asking again. */
export function isComing(fill: Fill, slice: number, now: number): boolean {
  for (const run of fill.runs) {
    const reaches = run.slice <= slice && slice - run.slice <= 1 && (run.last === null || slice <= run.last);
    if (reaches && now - run.progressAt < STALLED_MS) return true;
  }
  return false;
}

/** How far a fill has come, in bytes of the file. */
export function describeFill({ key, object, buffers, runs, readers }: Fill, sliceBytes: number) {
  const buffered = [...buffers.values()].map(({ start, filled }) => start + filled);
  const begun = [...runs].map(({ slice }) => slice * sliceBytes);
  return { key, size: object?.size ?? null, done: Math.max(0, ...buffered, ...begun), readers: readers.size };
}
