import { elapsedMs } from "../../clock/elapsed.ts";
import type { Target } from "../../route/target.ts";
import type { StoredObject } from "../../store/stored-object.ts";
import type { Absent, UpstreamFailure } from "../../upstream/upstream.ts";
import { createSignal, type Signal } from "../../clock/signal.ts";

/** No client gets these last bytes of an object before the verdict: without them it knows that it does not have the file. */
export const HELD_BACK_BYTES = 16 * 1024;
/** A run that brought no byte for this long does not keep another from starting. */
export const STALLED_MS = 10_000;

/** A run that is silent for longer than any store write takes. */
const DROPPED_MS = 45_000;

/** workerd may drop a request without running `finally`. */
export function isDropped(run: Run, now: number): boolean {
  return elapsedMs(run.progressAt, now) >= DROPPED_MS;
}

/**
 * One object being fetched, as this isolate sees it: the bytes in memory, and what became of the fetch. All requests that read or fetch the
 * object share it, so it is plain data and holds no stream or connection: the runtime binds those to the request that opened them.
 */
export interface Fill {
  readonly target: Target;
  readonly key: string;
  /** Length of its slices: that of the stored object, which may be older than the configuration. */
  sliceBytes: number;
  /** Set once the upstream has described the object and its first bytes do not contradict that. */
  object: StoredObject | null;
  /** Set while bytes can go out of a body whose length is not known: `object` follows with its last byte. */
  growing: Growing | null;
  /** Why there is no object, or why no more bytes come. Final. */
  end: FillEnd | null;
  /** A request answers with `object`: from here on no other version may take its place. */
  promised: boolean;
  /** The bytes of slices that are being fetched or are not yet at rest, by number. An object stored whole is slice 0. */
  readonly buffers: Map<number, SliceBuffer>;
  readonly runs: Set<Run>;
  /** Slices for which a request of this isolate waits for the coordinator. */
  readonly claiming: Set<number>;
  readonly readers: Set<Reader>;
  /** False: no (more) bytes of it are stored. They go out from memory, and are dropped once all readers have them. */
  storable: boolean;
  /** Its head takes the place of an older version's. */
  readonly replaces: boolean;
  /** Slices of this version may already be stored: look in the store before fetching the next one. */
  begun: boolean;
  /** A head of this version is in the store. */
  published: boolean;
  /** This version went bad: all readers stop, also those that read from the store. */
  spoiled: boolean;
  /** Versions that no request can complete any more: their heads stay unpublished, and their slices go when the last of the readers has left. */
  readonly givenUp: Set<string>;
  /** The mirror for which it is fetched before a client asks for it. */
  readonly aheadFor: string | undefined;
  /** One request fetches it for itself, beside another version that other requests are at. */
  readonly isApart: boolean;
  /** An earlier version of this key went bad. */
  tainted: boolean;
  readonly changed: Signal;
}

export type FillEnd =
  | UpstreamFailure
  | Absent
  /** The upstream redirects to the same path with a slash at its end. */
  | { readonly kind: "folder" }
  | { readonly kind: "unsatisfiable"; readonly size: number | undefined }
  /** Another isolate stored it in the meantime: look at the store again. */
  | { readonly kind: "stored" }
  /** The upstream has another version now than the head that this fill began with. */
  | { readonly kind: "changed" }
  /** Nothing can show whether the upstream still has this version, which other requests are reading: this request fetches the file for itself. */
  | { readonly kind: "unproven" }
  /** Too long for the plan's CPU, or without a length and fetched by another isolate: each request fetches it for itself, and it is not stored. */
  | { readonly kind: "unshared" };

/** A body without a length, as far as it has come. */
export interface Growing {
  /** Its description: the version under which its slices lie, and as size UNKNOWN_SIZE. */
  readonly object: StoredObject & { readonly sliceBytes: number };
  /** Bytes that have come so far and are not refused. */
  length: number;
}

/** The size of an object as long as its length is not known. No answer states it. */
export const UNKNOWN_SIZE = Number.MAX_SAFE_INTEGER;

export interface SliceBuffer {
  readonly index: number;
  /** Position of its first byte in the object. */
  readonly start: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  filled: number;
  atRest: boolean;
  /** Its last bytes may go out: they are judged as far as they can be, and at rest or not to be stored. */
  released: boolean;
  readonly free: (reusable: boolean) => void;
}

/** One upstream body being cut into slices, in order; `slice` is the one being fetched. */
export interface Run {
  /** It began at the first byte, so the bytes are judged as they come. */
  readonly isFromStart: boolean;
  slice: number;
  /** The last slice wanted; null: to the end. */
  last: number | null;
  /** Milliseconds since the epoch of the last byte. */
  progressAt: number;
  /** The request that pays for it has lost its client: it ends with the slice that it is fetching. */
  abandoned: boolean;
  /** It brought nothing: see `unproven` of `FillEnd`. */
  isUnproven: boolean;
}

export interface Reader {
  /** It held up an unstored fill for too long. */
  isDropped: boolean;
  /** Its client has not taken all bytes that it was sent since then (milliseconds since the epoch); absent: it waits for bytes. */
  sending?: { readonly since: number; readonly stop: () => void } | undefined;
  /** Next byte wanted; bytes before it may be dropped. */
  position: number;
}

/** How a fill differs from that of a client's request. */
export interface FillKind {
  readonly isApart?: boolean;
  readonly isAhead?: boolean;
}

export function createFill(
  target: Target,
  head: StoredObject | null,
  replaces: boolean,
  sliceBytes: number,
  { isApart = false, isAhead = false }: FillKind = {},
): Fill {
  return {
    target,
    key: target.key,
    sliceBytes: head?.sliceBytes ?? sliceBytes,
    object: head,
    growing: null,
    end: null,
    promised: head !== null,
    buffers: new Map(),
    runs: new Set(),
    claiming: new Set(),
    readers: new Set(),
    replaces,
    storable: target.class !== "pass" && !isApart,
    begun: head !== null,
    published: head !== null,
    spoiled: false,
    givenUp: new Set(),
    aheadFor: isAhead ? target.mirror.name : undefined,
    isApart,
    tainted: head?.tainted === true,
    changed: createSignal(),
  };
}

/** Ends a reader that holds others up: its client gets an aborted body, and may come back for the rest. */
export function dropReader(fill: Fill, reader: Reader): void {
  reader.isDropped = true;
  fill.readers.delete(reader);
  reader.sending?.stop();
  fill.changed.notify();
}

export function endFill(fill: Fill, end: FillEnd): void {
  fill.end ??= end;
  fill.changed.notify();
}

export function lastSlice(size: number, sliceBytes: number): number {
  return Math.max(0, Math.ceil(size / sliceBytes) - 1);
}

/** How far `object` may be read while `buffer` holds the slice in question: the end of the last slice waits until it is released. */
export function readableEnd(object: StoredObject, sliceBytes: number, buffer: SliceBuffer): number {
  const end = buffer.start + buffer.filled;
  if (buffer.released || buffer.index < lastSlice(object.size, sliceBytes)) return end;
  return Math.min(end, Math.max(buffer.start, object.size - HELD_BACK_BYTES));
}

/** Whether a run that makes progress is at `slice` or one before it: waiting is quicker than another request. */
export function isComing(fill: Fill, slice: number, now: number): boolean {
  for (const run of fill.runs) {
    const reaches = run.slice <= slice && slice - run.slice <= 1 && (run.last === null || slice <= run.last);
    if (reaches && elapsedMs(run.progressAt, now) < STALLED_MS) return true;
  }
  return false;
}

/** How far a fill has come, in bytes of the file, for the status page. */
export function progressOf({ key, object, buffers, runs, readers, sliceBytes }: Fill) {
  const buffered = [...buffers.values()].map(({ start, filled }) => start + filled);
  const begun = [...runs].map(({ slice }) => slice * sliceBytes);
  return { key, size: object?.size ?? null, done: Math.max(0, ...buffered, ...begun), readers: readers.size };
}
