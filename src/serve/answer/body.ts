import type { Sink } from "../../fill/delivery.ts";
import type { ByteSpan } from "../../http/byte-ranges.ts";
import type { Client } from "../shared/client.ts";
import type { AnswerWithBody } from "./choose-answer.ts";

/** Writes bytes of the object's [offset, offset + length) into a sink; the caller asks for those of `next` after them. */
export type Deliver = (offset: number, length: number, sink: Sink, next?: ByteSpan) => Promise<void>;

/** A reader's chunk of a stored slice: large reads cost a sixth of the default ones' CPU. */
const READ_BYTES = 512 * 1024;

/**
 * A response body of `length` bytes (null: not known before its end) that `write` fills through a sink. Whatever goes wrong, a byte too many or too few as
 * well, aborts it: a clean end is the client's proof that it has everything.
 */
export function streamBody(
  client: Client,
  length: number | null,
  isChunked: boolean,
  write: (sink: Sink) => Promise<void>,
): ReadableStream<Uint8Array> {
  const { readable, writable } = length === null || isChunked ? new IdentityTransformStream() : new FixedLengthStream(length);
  let sent = 0;
  let writer = writable.getWriter();
  const sink: Sink = {
    async write(bytes) {
      await writer.write(bytes);
      sent += bytes.length;
    },
    async pipe(stream, expected) {
      // Where it ends early, a fixed length fails; chunks would not: they are counted.
      if (length === null || isChunked) {
        const before = sent;
        await readInto(stream, sink.write);
        if (sent - before !== expected) throw new Error(`the store gave ${sent - before} bytes of ${expected}`);
        return;
      }
      writer.releaseLock();
      await stream.pipeTo(writable, { preventClose: true });
      sent += expected;
      writer = writable.getWriter();
    },
  };
  const work = async () => {
    let cut: string | null = null;
    try {
      await write(sink);
      if (length !== null && sent !== length) throw new Error(`${sent} bytes were sent of ${length}`);
      await writer.close();
    } catch (error) {
      cut = error instanceof Error ? error.message : String(error);
      await abort(error);
    }
    client.onBody(sent, cut);
  };
  const abort = async (error: unknown) => {
    try {
      await (writable.locked ? writer.abort(error) : writable.abort(error));
    } catch {
      // The client left first.
    }
  };
  client.waitUntil(work());
  return readable;
}

/** Delivers the parts of an answer in order. */
export async function deliverAnswer(answered: AnswerWithBody, size: number, deliver: Deliver, sink: Sink): Promise<void> {
  if (answered.kind === "full") return deliver(0, size, sink);
  if (answered.kind === "partial") return deliver(answered.span.offset, answered.span.length, sink);
  const { parts } = answered.layout;
  for (const [index, { head, span }] of parts.entries()) {
    await sink.write(head);
    await deliver(span.offset, span.length, sink, parts[index + 1]?.span);
  }
  return sink.write(answered.layout.tail);
}

/** Reads all of `stream`, in large chunks that stay as they are; cancels it where `write` throws. */
export async function readInto(stream: ReadableStream<Uint8Array>, write: (bytes: Uint8Array) => Promise<void>): Promise<void> {
  const reader = stream.getReader({ mode: "byob" });
  try {
    for (;;) {
      const { value, done } = await reader.readAtLeast(READ_BYTES, new Uint8Array(READ_BYTES));
      if (value !== undefined && value.length > 0) await write(value);
      if (done) return;
    }
  } catch (error) {
    void reader.cancel(error).catch(() => {});
    throw error;
  }
}
