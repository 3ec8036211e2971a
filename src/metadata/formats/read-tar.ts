import { createTarDecoder, type TarHeader } from "modern-tar";
import { MalformedError } from "./parsed-root.ts";
import { toStream } from "./to-stream.ts";

/** Arch's largest databases have some 15,000 packages, with a folder and a file or two for each. */
const MAX_ENTRIES = 500_000;

/**
 * Reads a tar archive as it flows and calls `read` for each file in turn; what `read` leaves of a body is passed over. Throws MalformedError, and what
 * `read` throws.
 */
export async function readTar(
  chunks: AsyncIterable<Uint8Array>,
  read: (header: TarHeader, body: AsyncIterable<Uint8Array>) => Promise<void>,
): Promise<void> {
  const entries = toStream(chunks)
    .pipeThrough(createTarDecoder({ strict: true }))
    .getReader();
  try {
    let count = 0;
    for (let next = await entries.read(); !next.done; next = await entries.read()) {
      const { header, body } = next.value;
      if (++count > MAX_ENTRIES) throw new MalformedError(`its archive has more than ${MAX_ENTRIES} entries`);
      if (header.type === "file") await read(header, chunksOf(body));
      // The archive does not go on until this body is read or cancelled.
      await body.cancel().catch(() => {});
    }
  } catch (error) {
    if (error instanceof MalformedError) throw error;
    throw new MalformedError(`it cannot be read as a tar archive: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    await entries.cancel().catch(() => {});
  }
}

async function* chunksOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } finally {
    reader.releaseLock();
  }
}
