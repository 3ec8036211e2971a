import type { Timer } from "./timer.ts";

/** Below this for the whole stall limit, a body counts as stalled. */
const FLOOR_BYTES_PER_SECOND = 1_024;
/** Room for one read: what has arrived comes in one piece, which makes reading cheap (see docs/decisions). */
const MAX_BUFFER_BYTES = 524_288;
const QUICK_MS = 20;

/** Why a body came to an end before its time. */
export class BodyFault extends Error {
  override readonly name = "BodyFault";
  readonly reason: "stalled" | "broken";
  constructor(reason: "stalled" | "broken", message: string) {
    super(message);
    this.reason = reason;
  }
}

/** The body of one response. */
export interface BodyReader {
  /** Next bytes, valid until the next call; null at the end. Throws `BodyFault`. */
  read(): Promise<Uint8Array | null>;
  /** Gives back the unread rest of the last view. */
  unread(rest: Uint8Array): void;
  /** The stream itself, for the caller to end; null once anything was read. */
  handOver(): ReadableStream<Uint8Array> | null;
  /** Ends it; safe to call twice. */
  close(reason?: string): void;
  /** Ends it as one that brought all it should: what it came by is left in peace. */
  complete(): void;
}

interface Flow {
  readonly bytes: number;
  /** Spent waiting for the upstream, not for whoever reads. */
  readonly waitedMs: number;
}

export interface BodyReaderOptions {
  readonly stallMs: number;
  /** What the body is said to bring: a short one needs no large buffer. */
  readonly length: number | undefined;
  readonly now: () => number;
  readonly after: Timer;
  readonly onBytes: () => void;
  readonly onHandOver: () => void;
  /** Called once, unless it was handed over. */
  readonly onClose: (flow: Flow, isComplete: boolean) => void;
}

/** `readAtLeast` is workerd's; elsewhere a read brings what is there. */
type Byob = ReadableStreamBYOBReader & Partial<Pick<ReadableStreamBYOBReader, "readAtLeast">>;

/**
 * Reads a byte stream in large pieces and gives up when it stalls. The first read returns what is there; then each waits for twice as much as
 * long as the bytes come at once, and for half as much when they do not. The stream is never asked to wait for more than the floor brings
 * within the stall limit, since bytes of a pending read cannot be counted: a flow just above the floor would pass for none. While
 * bytes come at once, such pieces are joined into one view; those of a view that breaks off are lost, and fetched again.
 */
export function createBodyReader(stream: ReadableStream<Uint8Array>, options: BodyReaderOptions): BodyReader {
  const { stallMs, now, after } = options;
  const floorBytes = Math.max(1, Math.floor((FLOOR_BYTES_PER_SECOND * stallMs) / 1000));
  const reader: Byob = stream.getReader({ mode: "byob" });
  // With room for a byte too much, which must be seen.
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

  /** The read, or `BodyFault` when the window's rest goes by first. */
  async function readWithin(ms: number, filled: number): Promise<ReadableStreamReadResult<Uint8Array>> {
    let callOff = (): void => {};
    const stalled = new Promise<never>((_, reject) => {
      callOff = after(ms, () => reject(new BodyFault("stalled", `brought less than ${floorBytes} bytes in ${stallMs / 1000} s`)));
    });
    try {
      return await Promise.race([fillBuffer(filled), stalled]);
    } finally {
      callOff();
    }
  }

  function account(bytes: number, waitedMs: number): void {
    for (const flow of [total, window]) {
      flow.bytes += bytes;
      flow.waitedMs += waitedMs;
    }
    if (window.bytes >= floorBytes) window.bytes = window.waitedMs = 0;
    atLeast = waitedMs < QUICK_MS ? Math.min(atLeast * 2, floorBytes) : Math.max(1, atLeast >> 1);
    if (bytes > 0) options.onBytes();
  }

  function end(reason: string, isComplete: boolean): void {
    if (closed) return;
    closed = true;
    void reader.cancel(reason).catch(() => {});
    options.onClose(total, isComplete);
  }

  function close(reason = "not wanted any more"): void {
    end(reason, false);
  }

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
      // Cancelled: the stream keeps the buffer.
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

  /** Reads behind what the buffer holds already; 0 at the end, null when cancelled. */
  async function readPiece(filled: number): Promise<number | null> {
    const startedAt = now();
    try {
      const { value } = await readWithin(Math.max(1, stallMs - window.waitedMs), filled);
      const bytes = value?.byteLength ?? 0;
      account(bytes, now() - startedAt);
      if (value === undefined) return null;
      buffer = value.buffer as ArrayBuffer;
      return bytes;
    } catch (error) {
      account(0, now() - startedAt);
      const fault = error instanceof BodyFault ? error : new BodyFault("broken", `lost the connection (${describe(error)})`);
      close(fault.message);
      throw fault;
    }
  }

  return {
    read,
    unread(rest) {
      if (rest.byteLength > 0) pushedBack = rest;
    },
    handOver() {
      if (closed || begun) return null;
      closed = true;
      reader.releaseLock();
      options.onHandOver();
      return stream;
    },
    close,
    complete: () => end("complete", true),
  };
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
