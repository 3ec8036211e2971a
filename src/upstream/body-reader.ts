import { within, type Timer } from "../clock/timer.ts";

/** A body that stays below this rate for the whole stall limit counts as stalled. */
const FLOOR_BYTES_PER_SECOND = 1_024;
/** The most bytes that one `read` returns. Few large views cost much less CPU than many small ones. */
const MAX_BUFFER_BYTES = 524_288;
/** A read that settles within this time found its bytes already received. */
const QUICK_MS = 20;

/** A body ended early: `stalled`, too slow for the whole stall limit; `broken`, the connection failed or the bytes contradict the headers. */
export class BodyFault extends Error {
  override readonly name = "BodyFault";
  readonly reason: "stalled" | "broken";
  constructor(reason: "stalled" | "broken", message: string) {
    super(message);
    this.reason = reason;
  }
}

/** The body of one response. */
export type BodyReader = ReturnType<typeof createBodyReader>;

export interface BodyReaderOptions {
  /** The stall limit: see FLOOR_BYTES_PER_SECOND. */
  readonly stallMs: number;
  /** Bytes that the headers promise, or undefined. A short body gets a small buffer. */
  readonly length: number | undefined;
  readonly now: () => number;
  readonly after: Timer;
  /** Called after each read that brought bytes, with their number. */
  readonly onBytes: (bytes: number) => void;
  /** Called once, when the stream was handed over. */
  readonly onHandOver: () => void;
  /**
   * Called once, when the body ends or is closed; never for a body that was handed over. `waitedMs`: milliseconds in which a read waited for the
   * upstream. Time between reads does not count: a slow client is no slow upstream.
   */
  readonly onClose: (flow: { readonly bytes: number; readonly waitedMs: number }, isComplete: boolean) => void;
}

/** Only workerd has `readAtLeast`. */
type Byob = ReadableStreamBYOBReader & Partial<Pick<ReadableStreamBYOBReader, "readAtLeast">>;

/**
 * Reads a byte stream in large pieces, and fails with `BodyFault` when it stalls.
 *
 * The first read returns the bytes that are there. After a quick read the next one waits for twice as many bytes, after a slow one for half as
 * many, but never for more than the floor rate brings within the stall limit: the bytes of a pending read cannot be counted, so a flow just above
 * the floor would look like no flow at all. While pieces of that size come quickly, several are joined into one view. A read that fails loses the
 * pieces already joined; the byte source fetches them again.
 */
export function createBodyReader(stream: ReadableStream<Uint8Array>, options: BodyReaderOptions) {
  const { stallMs, now, after } = options;
  const floorBytes = Math.max(1, Math.floor((FLOOR_BYTES_PER_SECOND * stallMs) / 1000));
  const reader: Byob = stream.getReader({ mode: "byob" });
  // One byte more than promised: an upstream that sends too much must be noticed.
  let buffer = new ArrayBuffer(Math.min(MAX_BUFFER_BYTES, (options.length ?? MAX_BUFFER_BYTES) + 1));
  let atLeast = 1;
  let pushedBack: Uint8Array | undefined;
  let closed = false;
  let begun = false;
  const total = { bytes: 0, waitedMs: 0 };
  const window = { bytes: 0, waitedMs: 0 };

  function fillBuffer(filled: number): Promise<ReadableStreamReadResult<Uint8Array>> {
    const view = new Uint8Array(buffer, filled);
    if (reader.readAtLeast === undefined) return reader.read(view);
    return reader.readAtLeast(Math.min(atLeast, floorBytes - window.bytes, view.length), view);
  }

  function stall(): never {
    throw new BodyFault("stalled", `brought less than ${floorBytes} bytes in ${stallMs / 1000} s`);
  }

  function account(bytes: number, waitedMs: number): void {
    for (const flow of [total, window]) {
      flow.bytes += bytes;
      flow.waitedMs += waitedMs;
    }
    if (window.bytes >= floorBytes) window.bytes = window.waitedMs = 0;
    atLeast = waitedMs < QUICK_MS ? Math.min(atLeast * 2, floorBytes) : Math.max(1, atLeast >> 1);
    if (bytes > 0) options.onBytes(bytes);
  }

  function end(reason: string, isComplete: boolean): void {
    if (closed) return;
    closed = true;
    void reader.cancel(reason).catch(() => {});
    options.onClose(total, isComplete);
  }

  /** Cancels the stream and aborts the request; may be called more than once. */
  function close(reason = "not wanted any more"): void {
    end(reason, false);
  }

  /** Next bytes, valid until the next call; null at the end, and after `close`. Throws `BodyFault`. */
  async function read(): Promise<Uint8Array | null> {
    if (pushedBack !== undefined) {
      const rest = pushedBack;
      pushedBack = undefined;
      return rest;
    }
    if (closed) return null;
    begun = true;
    let filled = 0;
    while (filled < buffer.byteLength) {
      const bytes = await readPiece(filled);
      // A cancelled stream keeps the buffer.
      if (bytes === null) {
        close();
        return null;
      }
      filled += bytes;
      if (bytes === 0 || atLeast < floorBytes) break;
    }
    if (filled === 0) close();
    return filled === 0 ? null : new Uint8Array(buffer, 0, filled);
  }

  /** Reads into the buffer from `filled` on. Returns the bytes read: 0 at the end of the body, null when the stream was cancelled. */
  async function readPiece(filled: number): Promise<number | null> {
    const startedAt = now();
    try {
      const { value } = await within(fillBuffer(filled), Math.max(1, stallMs - window.waitedMs), stall, after);
      const bytes = value?.byteLength ?? 0;
      account(bytes, now() - startedAt);
      if (value === undefined) return null;
      buffer = value.buffer as ArrayBuffer;
      return bytes;
    } catch (error) {
      account(0, now() - startedAt);
      const fault = error instanceof BodyFault ? error : new BodyFault("broken", `lost the connection (${messageOf(error)})`);
      close(fault.message);
      throw fault;
    }
  }

  return {
    read,
    /** Gives back the unread rest of the last view: the next `read` returns it. */
    unread(rest: Uint8Array): void {
      if (rest.byteLength > 0) pushedBack = rest;
    },
    /** The stream itself, which the caller must then read or cancel; null once `read` was called or the body was closed. */
    handOver(): ReadableStream<Uint8Array> | null {
      if (closed || begun) return null;
      closed = true;
      reader.releaseLock();
      options.onHandOver();
      return stream;
    },
    close,
    /** Closes a body that brought all its bytes, and does not abort the request: the connection can serve the next one. */
    complete: () => end("complete", true),
  };
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
