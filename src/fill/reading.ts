import { elapsedMs } from "../clock/elapsed.ts";
import type { ByteSpan } from "../http/byte-ranges.ts";
import type { StoredObject } from "../store/stored-object.ts";
import type { UpstreamAnswer } from "../upstream/upstream.ts";
import { type Ahead, createAhead } from "./ahead.ts";
import { deliverGrowing } from "./deliver-growing.ts";
import { DeliveryError, send, type Sink, TOO_SLOW } from "./delivery.ts";
import { obtain, type ObtainOptions, type Slices } from "./obtain.ts";
import { letGo, PIECE_BYTES, pieceAtRest, pieceInMemory, type Piece } from "./pieces.ts";
import type { PumpDependencies } from "./pump/dependencies.ts";
import { isComing, isDropped, lastSlice, STALLED_MS, type Fill, type FillEnd, type Growing, type Reader, type Run } from "./shared/fill.ts";

const TURNED_OUT_BAD: FillEnd = { kind: "failure", status: 502, detail: "the upstream's bytes turned out bad" };

export interface ReadingOptions extends ObtainOptions {
  /** The reading takes no more part in the fill. */
  readonly onClose: () => void;
}

/** One request's part in a fill: it reads what is there, waits for what other requests fetch, and fetches the rest. */
export class Reading {
  readonly #fill: Fill;
  readonly #deps: PumpDependencies;
  readonly #options: ReadingOptions;
  readonly #reader: Reader = { position: 0, isDropped: false };
  readonly #runs: Run[] = [];
  #primed: Piece | null = null;
  readonly #ahead: Ahead;
  /** What the request needs first: fetched where no request has described the object yet. */
  #wanted: Slices = { slice: 0, last: null };
  /** True when the first bytes were already being fetched for another request. */
  collapsed = false;

  constructor(fill: Fill, deps: PumpDependencies, options: ReadingOptions) {
    this.#fill = fill;
    this.#deps = deps;
    this.#options = options;
    this.#ahead = createAhead(fill, deps, options.waitUntil);
    fill.readers.add(this.#reader);
  }

  /** The object as the answer must describe it; from now on it stays this version. */
  promise(): StoredObject {
    const { object } = this.#fill;
    if (object === null) throw new Error(`Cannot promise ${this.#fill.key}: it is not described yet`);
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

  /** Whether a run judges the whole object as it fetches it. */
  get isBeingJudged(): boolean {
    return [...this.#fill.runs].some((run) => run.isFromStart);
  }

  /** False where no (more) bytes of the fill are stored. */
  get isStorable(): boolean {
    return this.#fill.storable;
  }

  /** The bytes were read and judged: `object` says how far they are proven. */
  noteVerdict(object: StoredObject): void {
    if (this.#fill.object?.version === object.version) this.#fill.object = object;
  }

  /** The bytes proved bad: all readers stop, and the next request begins anew. */
  spoil(): void {
    this.#fill.spoiled = true;
    if (this.#fill.object !== null) this.#fill.givenUp.add(this.#fill.object.version);
    this.#fill.storable = false;
    this.#fill.changed.notify();
  }

  /** The description of a body whose length is not known (yet). */
  get growing(): Growing["object"] | null {
    return this.#fill.object === null ? (this.#fill.growing?.object ?? null) : null;
  }

  /** Waits until the object is described, or growing, and fetches it where no request does. The end of the fill, where it ended; else null. */
  async describe(first: number, last: number | null, opened?: UpstreamAnswer): Promise<FillEnd | null> {
    const { runs, claiming, sliceBytes } = this.#fill;
    this.#wanted = { slice: Math.floor(first / sliceBytes), last };
    this.#reader.position = first;
    this.collapsed = opened === undefined && runs.size + claiming.size > 0;
    await this.#described(opened);
    return this.#fill.end;
  }

  /**
   * Waits, at most `limitMs`, until the object is whole and judged, or the fill has ended. Null: the object is promised, in the same turn, so that no retry
   * can exchange the version while the answer is being made; where its length is still not known it is `growing`.
   */
  async hold(limitMs: number): Promise<FillEnd | null> {
    const fill = this.#fill;
    const until = this.#deps.now() + limitMs;
    for (;;) {
      await this.#described();
      if (fill.end !== null) return fill.end;
      const left = until - this.#deps.now();
      if (fill.object === null && fill.growing !== null && left > 0) {
        await fill.changed.wait(left);
        continue;
      }
      if (fill.object === null && fill.growing !== null) {
        fill.promised = true;
        return null;
      }
      // A retry on another upstream has just begun: there is nothing to promise.
      if (fill.object === null) continue;
      const last = fill.buffers.get(lastSlice(fill.object.size, fill.sliceBytes));
      if (last?.released === true || left <= 0 || fill.runs.size === 0) {
        this.promise();
        return null;
      }
      await fill.changed.wait(left);
    }
  }

  /** All bytes, judged, where they are no more than one piece; else null. A stream for so few would only cost time. */
  whole(): Uint8Array<ArrayBuffer> | null {
    const { object, buffers } = this.#fill;
    const buffer = object !== null && object.sliceBytes === undefined && object.size <= PIECE_BYTES ? buffers.get(0) : undefined;
    return buffer?.released === true ? buffer.bytes.slice() : null;
  }

  /** Waits until no run fetches or stores any of it. */
  async settled(): Promise<void> {
    const { runs, changed } = this.#fill;
    while ([...runs].some((run) => !isDropped(run, this.#deps.now()))) await changed.wait(STALLED_MS);
  }

  /** Waits until the byte at `from` can be delivered: what goes wrong before is still an answer, and no aborted body. */
  async prime(from: number, to: number): Promise<FillEnd | null> {
    if (from >= to) return null;
    try {
      this.#primed = await this.#next(from, to, to);
      return null;
    } catch (error) {
      if (error instanceof DeliveryError) return error.end;
      throw error;
    }
  }

  /**
   * Bytes [from, to) into `sink`; the caller will ask for those up to `wanted`, or for the span `next`, after them. Throws `DeliveryError`, or what the sink
   * throws.
   */
  async deliver(from: number, to: number, sink: Sink, wanted = to, next: ByteSpan = { offset: to, length: wanted - to }): Promise<void> {
    let sendingMs = 0;
    for (let position = from; position < to;) {
      const primed = this.#primed;
      this.#primed = null;
      // The primed piece may go on past `to`, where the next bytes wait for a verdict.
      const isFitting = primed?.position === position && position + primed.length <= to;
      if (!isFitting) void letGo(primed);
      const piece = isFitting ? primed : await this.#next(position, to, wanted);
      position += piece.length;
      const following = position < to ? { offset: position, length: to - position } : next;
      this.#openAhead(piece, following, sendingMs);
      const begunAt = this.#deps.now();
      await send(piece, this.#fill, this.#reader, this.#deps.now, sink);
      sendingMs = elapsedMs(begunAt, this.#deps.now());
      this.#reader.sending = undefined;
      this.#reader.position = position;
      if (!this.#fill.storable) this.#fill.changed.notify();
    }
  }

  /** All bytes of a body without a length, in order; see `growing`. Throws `DeliveryError`, or what the sink throws. */
  deliverGrowing(sink: Sink): Promise<void> {
    return deliverGrowing(this.#fill, this.#reader, this.#ahead, this.#deps, sink);
  }

  /** The request ends; each of its runs ends with the slice that it is fetching. */
  close(): void {
    for (const run of this.#runs) run.abandoned = true;
    void letGo(this.#primed);
    this.#primed = null;
    this.#ahead.close();
    this.#fill.readers.delete(this.#reader);
    this.#fill.changed.notify();
    this.#options.onClose();
  }

  /** The object's description, that it is growing, or the end of the fill; the store has none of them. */
  #described(opened?: UpstreamAnswer): Promise<FillEnd | StoredObject | Growing> {
    const fill = this.#fill;
    return this.#drive<FillEnd | StoredObject | Growing>(this.#wanted, () => fill.end ?? fill.object ?? fill.growing, null, opened);
  }

  /** The next bytes from `position` on, as far as they can go out now. Throws `DeliveryError`. */
  #next(position: number, to: number, wanted: number): Promise<Piece> {
    const fill = this.#fill;
    const { sliceBytes } = fill;
    const object = this.promise();
    this.#reader.position = position;
    return this.#drive(
      { slice: Math.floor(position / sliceBytes), last: wanted === object.size ? null : Math.floor((wanted - 1) / sliceBytes) },
      () => {
        if (this.#reader.isDropped) throw new DeliveryError(TOO_SLOW);
        if (fill.spoiled) throw new DeliveryError(fill.end?.kind === "changed" ? fill.end : TURNED_OUT_BAD);
        return pieceInMemory(fill, object, position, to);
      },
      () => this.#ahead.take(object, position, to) ?? pieceAtRest(this.#deps.store, fill, object, position, to),
    );
  }

  /** Opens what comes after a piece from the store, where that is at rest too, as far as this isolate knows. */
  #openAhead(piece: Piece, { offset, length }: ByteSpan, sendingMs: number): void {
    this.#ahead.close();
    const slice = Math.floor(offset / this.#fill.sliceBytes);
    if (piece.stream === null || length === 0 || this.#fill.buffers.has(slice) || this.#isFetched(slice)) return;
    this.#ahead.open(this.promise(), offset, offset + length, sendingMs);
  }

  /** Decides how to get a slice: from memory, by waiting for the run that fetches it, from the store, or by fetching it itself. */
  async #drive<T>(wanted: Slices, inMemory: () => T | null, atRest: (() => Promise<T | null>) | null, opened?: UpstreamAnswer): Promise<T> {
    const fill = this.#fill;
    for (;;) {
      const ready = inMemory();
      if (ready !== null) return ready;
      if (this.#isFetched(wanted.slice)) {
        await fill.changed.wait(STALLED_MS);
        continue;
      }
      // No `await` before the object is described: a second request could begin it in between.
      const stored = atRest === null ? null : await atRest();
      if (stored !== null) return stored;
      if (fill.end !== null) throw new DeliveryError(fill.end);
      if (this.#runs.some((run) => run.isUnproven)) throw new DeliveryError({ kind: "unproven" });
      const obtained = await obtain(fill, wanted, opened, this.#options, this.#deps);
      if (obtained === "followed") this.collapsed = true;
      else if (obtained !== null) this.#runs.push(obtained);
    }
  }

  /** Whether waiting brings the slice: one of this request's runs is at it, or another's makes progress towards it. */
  #isFetched(slice: number): boolean {
    const { runs, claiming, object } = this.#fill;
    const now = this.#deps.now();
    if (object !== null) return isComing(this.#fill, slice, now) || this.#runs.some((run) => run.slice === slice && runs.has(run));
    // Every run describes the object first, whichever slice it fetches.
    return claiming.size > 0 || [...runs].some((run) => this.#runs.includes(run) || elapsedMs(run.progressAt, now) < STALLED_MS);
  }
}
