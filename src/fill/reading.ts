import type { ObjectStore } from "../store/object-store.ts";
import type { StoredObject } from "../store/stored-object.ts";
import { isComing, isDropped, lastSlice, readableEnd, STALLED_MS, type Fill, type FillEnd, type Reader, type Run } from "./shared/fill.ts";
import type { Follower } from "./flight/leases.ts";
import { pump, type Expected, type PumpDependencies } from "./pump/pump.ts";
import type { UpstreamAnswer } from "../upstream/upstream.ts";

/** Bytes go out in pieces, copied: a client that stalls holds one piece, not a slice. */
const PIECE_BYTES = 128 * 1024;

/** Where delivered bytes go. Both reject when the client has left. */
export interface Sink {
  write(bytes: Uint8Array): Promise<void>;
  /** Takes a whole stream natively; rejects where it ends before `length` bytes. */
  pipe(stream: ReadableStream<Uint8Array>, length: number): Promise<void>;
}

/** The bytes wanted cannot be delivered: a body already begun must be aborted. */
export class DeliveryError extends Error {
  override readonly name = "DeliveryError";
  readonly end: FillEnd;
  constructor(end: FillEnd) {
    super(end.kind === "failure" ? end.detail : `the upstream's file is ${end.kind} now`);
    this.end = end;
  }
}

type Piece =
  | { readonly position: number; readonly length: number; readonly bytes: Uint8Array; readonly stream: null }
  | { readonly position: number; readonly length: number; readonly stream: ReadableStream<Uint8Array> };

export interface ReadingOptions {
  readonly waitUntil: (promise: Promise<unknown>) => void;
  readonly expected: (waitMs: number) => Promise<Expected>;
  /** Whether the coordinator may answer `stored`: not when the caller has just looked again. */
  readonly recheck: boolean;
}

/** One request's part in a fill: it reads what is there, waits for what others fetch, and fetches what nobody does. */
export class Reading {
  readonly #fill: Fill;
  readonly #deps: PumpDependencies;
  readonly #options: ReadingOptions;
  readonly #reader: Reader = { position: 0, isDropped: false };
  readonly #runs: Run[] = [];
  #primed: Piece | null = null;
  #wanted: { readonly slice: number; readonly last: number | null } = { slice: 0, last: null };
  /** True when the first bytes were already being fetched for another request. */
  collapsed = false;

  constructor(fill: Fill, deps: PumpDependencies, options: ReadingOptions) {
    this.#fill = fill;
    this.#deps = deps;
    this.#options = options;
    fill.readers.add(this.#reader);
  }

  /** The object as the answer must describe it; from now on it stays this version. */
  promise(): StoredObject {
    const { object } = this.#fill;
    if (object === null) throw new Error(`${this.#fill.key} is promised before it is described`);
    this.#fill.promised = true;
    return object;
  }

  get object(): StoredObject | null {
    return this.#fill.object;
  }

  /** Whether it has fetched, or fetches, a part of the object itself. */
  get leads(): boolean {
    return this.#runs.length > 0;
  }

  /** Whether a run that judges the whole is under way. */
  get isBeingJudged(): boolean {
    return [...this.#fill.runs].some((run) => run.isFromStart);
  }

  /** What is read proved to be as `object` says. */
  noteVerdict(object: StoredObject): void {
    if (this.#fill.object?.version === object.version) this.#fill.object = object;
  }

  /** Its bytes proved bad: nobody goes on reading them, and who asks from now on begins anew. */
  spoil(): void {
    this.#fill.spoiled = true;
    this.#fill.storable = false;
    this.#fill.changed.notify();
  }

  get stored(): boolean {
    return this.#fill.storable;
  }

  /** Waits until the object is described, fetching it where nobody does. */
  async describe(first: number, last: number | null, opened?: UpstreamAnswer): Promise<FillEnd | null> {
    const fill = this.#fill;
    this.#wanted = { slice: Math.floor(first / this.#fill.sliceBytes), last };
    this.#reader.position = first;
    this.collapsed = opened === undefined && fill.runs.size + fill.claiming.size > 0;
    return this.#describe(opened);
  }

  async #describe(opened?: UpstreamAnswer): Promise<FillEnd | null> {
    const fill = this.#fill;
    const { slice, last } = this.#wanted;
    while (fill.end === null && fill.object === null) {
      // A cold part far into an object that is just being begun: who began it will describe it first.
      if (fill.runs.size + fill.claiming.size > 0) await fill.changed.wait(STALLED_MS);
      if (fill.end === null && fill.object === null && !this.#isAlive()) await this.#obtain(slice, last, opened);
    }
    return fill.end;
  }

  #isAlive(): boolean {
    const { runs, claiming } = this.#fill;
    const now = this.#deps.now();
    return claiming.size > 0 || [...runs].some((run) => this.#runs.includes(run) || now - run.progressAt < STALLED_MS);
  }

  /**
   * Waits, at most `limitMs`, until the object is whole and judged, or has ended. Null: it is promised, in the same turn, so that a broken
   * beginning can no longer be replaced behind the answer's back. While one is being replaced there is nothing to promise.
   */
  async hold(limitMs: number): Promise<FillEnd | null> {
    const fill = this.#fill;
    const until = this.#deps.now() + limitMs;
    for (;;) {
      await this.#describe();
      if (fill.end !== null) return fill.end;
      if (fill.object === null) continue;
      const last = fill.buffers.get(lastSlice(fill.object.size, fill.sliceBytes));
      const left = until - this.#deps.now();
      if (last?.released === true || left <= 0 || fill.runs.size === 0) {
        this.promise();
        return null;
      }
      await fill.changed.wait(left);
    }
  }

  /** All bytes, judged, where they are no more than a piece: a stream would only cost time. */
  whole(): Uint8Array<ArrayBuffer> | null {
    const { object, buffers } = this.#fill;
    const buffer = object !== null && object.sliceBytes === undefined && object.size <= PIECE_BYTES ? buffers.get(0) : undefined;
    return buffer?.released === true ? buffer.bytes.slice() : null;
  }

  /** Waits until nobody fetches or stores any of it. */
  async settled(): Promise<void> {
    const { runs, changed } = this.#fill;
    while ([...runs].some((run) => !isDropped(run, this.#deps.now()))) await changed.wait(STALLED_MS);
  }

  /** Waits until the byte at `from` can be delivered, so that what goes wrong before is an answer and no broken body. */
  async prime(from: number, to: number): Promise<FillEnd | null> {
    if (from >= to) return null;
    try {
      this.#primed = await this.#next(from, to);
      return null;
    } catch (error) {
      if (error instanceof DeliveryError) return error.end;
      throw error;
    }
  }

  /** Bytes [from, to) into `sink`; those up to `wanted` will be asked for next. Throws `DeliveryError`, or what the sink throws. */
  async deliver(from: number, to: number, sink: Sink, wanted = to): Promise<void> {
    for (let position = from; position < to;) {
      const primed = this.#primed;
      this.#primed = null;
      // What is at hand may go on past `to`, which somebody waits for a verdict on.
      const isFitting = primed?.position === position && position + primed.length <= to;
      if (!isFitting) void primed?.stream?.cancel();
      const piece = isFitting ? primed : await this.#next(position, to, wanted);
      await (piece.stream === null ? sink.write(piece.bytes) : sink.pipe(piece.stream, piece.length));
      position += piece.length;
      this.#reader.position = position;
      if (!this.#fill.storable) this.#fill.changed.notify();
    }
  }

  /** The next bytes from `position` on, from memory or the store, fetched where nobody does. */
  async #next(position: number, to: number, wanted = to): Promise<Piece> {
    const fill = this.#fill;
    const { store, now } = this.#deps;
    const { sliceBytes } = fill;
    const object = this.promise();
    const slice = Math.floor(position / sliceBytes);
    const last = wanted === object.size ? null : Math.floor((wanted - 1) / sliceBytes);
    this.#reader.position = position;
    for (;;) {
      if (this.#reader.isDropped) throw new DeliveryError({ kind: "failure", status: 503, detail: "the client reads too slowly" });
      if (fill.spoiled) throw new DeliveryError({ kind: "failure", status: 502, detail: "the upstream's bytes turned out bad" });
      const buffer = fill.buffers.get(slice);
      const readable = buffer === undefined ? position : Math.min(to, readableEnd(object, sliceBytes, buffer), position + PIECE_BYTES);
      if (buffer !== undefined && readable > position) {
        const bytes = buffer.bytes.slice(position - buffer.start, readable - buffer.start);
        return { position, length: bytes.length, bytes, stream: null };
      }
      const isOwn = this.#runs.some((run) => run.slice === slice && fill.runs.has(run));
      if (isOwn || isComing(fill, slice, now())) {
        await fill.changed.wait(STALLED_MS);
        continue;
      }
      const offset = position - slice * sliceBytes;
      const length = Math.min(to, (slice + 1) * sliceBytes) - position;
      const stream = await getStored(store, fill.key, object, slice, offset, length);
      if (stream !== null) return { position, length, stream };
      if (fill.end !== null) throw new DeliveryError(fill.end);
      await this.#obtain(slice, last);
    }
  }

  /** The request ends: its runs, if any, end with the slice under way. */
  close(): void {
    for (const run of this.#runs) run.abandoned = true;
    void this.#primed?.stream?.cancel();
    this.#primed = null;
    this.#fill.readers.delete(this.#reader);
    this.#fill.changed.notify();
  }

  /** Fetches `slice` and what follows up to `last`, or waits for who does. Returns after any change. */
  async #obtain(slice: number, last: number | null, opened?: UpstreamAnswer): Promise<void> {
    const fill = this.#fill;
    if (fill.claiming.has(slice)) return fill.changed.wait(STALLED_MS);
    fill.claiming.add(slice);
    try {
      const claim = await this.#deps.leases.claim(fill.key, slice, {
        recheck: this.#options.recheck && !fill.begun && opened === undefined,
        ...(fill.object === null ? {} : { version: fill.object.version }),
      });
      switch (claim.kind) {
        case "stored":
          if (fill.object === null) fill.end = { kind: "stored" };
          return;
        case "spoiled":
          fill.spoiled = true;
          fill.end ??= { kind: "failure", status: 502, detail: `The upstream's ${fill.key} turned out bad` };
          return;
        case "follow":
          return await this.#follow(claim.follower, claim.object);
        case "lead": {
          fill.tainted ||= claim.tainted;
          const run: Run = { isFromStart: slice === 0, slice, last, progressAt: this.#deps.now(), abandoned: false };
          fill.runs.add(run);
          this.#runs.push(run);
          const { expected } = this.#options;
          this.#options.waitUntil(
            pump(fill, { run, lease: claim.lease, expected, ...(opened === undefined ? {} : { opened }) }, this.#deps),
          );
        }
      }
    } finally {
      fill.claiming.delete(slice);
      fill.changed.notify();
    }
  }

  /** Waits for another isolate's leader. */
  async #follow(follower: Follower, object: StoredObject | null): Promise<void> {
    const fill = this.#fill;
    this.collapsed = true;
    if (fill.object === null && object?.sliceBytes !== undefined) return this.#adopt(object);
    const followed = await follower.wait({ object: fill.object === null });
    if (followed.kind === "described") this.#adopt(followed.object);
    if (followed.kind === "failed") fill.end = followed.failure;
    if (followed.kind === "committed" && fill.object === null) fill.end = { kind: "stored" };
  }

  #adopt(object: StoredObject): void {
    this.#fill.object = object;
    this.#fill.sliceBytes = object.sliceBytes ?? this.#fill.sliceBytes;
    this.#fill.promised = true;
    this.#fill.begun = true;
    // Its leader publishes the head.
    this.#fill.published = true;
  }
}

async function getStored(
  store: ObjectStore,
  key: string,
  object: StoredObject,
  slice: number,
  offset: number,
  length: number,
): Promise<ReadableStream<Uint8Array> | null> {
  try {
    if (object.sliceBytes !== undefined) return await store.getSlice(object.version, slice, offset, length);
    const stored = await store.get(key, { offset, length });
    if (stored?.object.version === object.version) return stored.body;
    await stored?.body?.cancel();
    return null;
  } catch {
    return null;
  }
}
