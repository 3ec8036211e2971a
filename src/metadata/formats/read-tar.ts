import { createTarDecoder, type TarHeader } from "modern-tar";
import { MalformedError } from "./parsed-root.ts";
import { toStream } from "./to-stream.ts";

/** Arch's largest databases have some 15,000 packages, with a folder and a file or two for each. */
const MAX_ENTRIES = 500_000;

/**
 * Reads a tar archive as it flows and calls `read` for each file in turn; what `read` leaves of a body is passed over. Throws MalformedError where the
 * archive is none, and as they are the errors of `chunks` and of `read`.
 */
export async function readTar(
  chunks: AsyncIterable<Uint8Array>,
  read: (header: TarHeader, body: AsyncIterable<Uint8Array>) => Promise<void>,
): Promise<void> {
  /** What reading `chunks` threw: the decoder hands it on as its own. */
  let broken: { readonly error: unknown } | null = null;
  const entries = toStream(noted())
    .pipeThrough(createTarDecoder({ strict: true }))
    .getReader();
  try {
    let count = 0;
    for (let next = await decoded(entries.read()); !next.done; next = await decoded(entries.read())) {
      const { header, body } = next.value;
      if (++count > MAX_ENTRIES) throw new MalformedError(`its archive has more than ${MAX_ENTRIES} entries`);
      if (header.type === "file") await read(header, chunksOf(body));
      // The archive does not go on until this body is read or cancelled.
      await body.cancel().catch(() => {});
    }
  } finally {
    await entries.cancel().catch(() => {});
  }

  async function* noted(): AsyncGenerator<Uint8Array> {
    try {
      yield* chunks;
    } catch (error) {
      broken = { error };
      throw error;
    }
  }

  async function decoded<T>(reading: Promise<T>): Promise<T> {
    try {
      return await reading;
    } catch (error) {
      if (broken !== null) throw broken.error;
      throw new MalformedError(`it cannot be read as a tar archive: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  async function* chunksOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
    const reader = body.getReader();
    try {
      for (let next = await decoded(reader.read()); !next.done; next = await decoded(reader.read())) yield next.value;
    } finally {
      reader.releaseLock();
    }
  }
}
