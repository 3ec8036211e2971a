import type { Reading, Sink } from "../fill/reading.ts";
import type { Answer } from "./answer.ts";
import type { Client } from "./client.ts";

/** Writes bytes of the object's [offset, offset + length) into a sink. */
export type Deliver = (offset: number, length: number, sink: Sink) => Promise<void>;

/**
 * A response body that `write` fills through a sink. With `length` it is sent with Content-Length, without it chunked. Whatever goes wrong
 * aborts it: a clean end is the client's proof that it has everything.
 */
export function streamBody(client: Client, length: number | null, write: (sink: Sink) => Promise<void>): ReadableStream<Uint8Array> {
  const { readable, writable } = length === null ? new IdentityTransformStream() : new FixedLengthStream(length);
  let sent = 0;
  let writer = writable.getWriter();
  const sink: Sink = {
    async write(bytes) {
      await writer.write(bytes);
      sent += bytes.length;
    },
    async pipe(stream, expected) {
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
export async function deliverAnswer(answered: Answer, size: number, deliver: Deliver, sink: Sink): Promise<void> {
  switch (answered.kind) {
    case "full":
      return deliver(0, size, sink);
    case "partial":
      return deliver(answered.span.offset, answered.span.length, sink);
    case "multipart":
      for (const part of answered.layout.parts) {
        await sink.write(part.head);
        await deliver(part.span.offset, part.span.length, sink);
      }
      return sink.write(answered.layout.tail);
    case "not-modified":
    case "precondition-failed":
    case "unsatisfiable":
  }
}

export function deliverFrom(reading: Reading): Deliver {
  return (offset, length, sink) => reading.deliver(offset, offset + length, sink);
}
