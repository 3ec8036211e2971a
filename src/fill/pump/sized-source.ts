import type { ByteSource } from "../../upstream/upstream.ts";
import { createVerifier } from "../../verify/create-verifier.ts";

/** A body of known length: the upstream stated it, the file declares it, or the whole body was read. */
export interface SizedSource {
  readonly size: number;
  /** False when the length is only that of the bytes that arrived: a body cut short would look the same. */
  readonly proven: boolean;
  readonly source: ByteSource;
}

/** Finds the length of a body that came without one: from the file's own structure, else by reading it. Null: it is longer than `limit` bytes. */
export async function sizeSource(source: ByteSource, path: string, limit: number): Promise<SizedSource | null> {
  const verifier = createVerifier(path, {});
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const chunk = await source.read();
    if (chunk === null) return { size: length, proven: false, source: replay(chunks, null) };
    chunks.push(chunk.slice());
    length += chunk.length;
    await verifier.feed(chunk);
    const declared = verifier.declared();
    if (declared.kind === "exact" && declared.bytes >= length)
      return { size: declared.bytes, proven: true, source: replay(chunks, source) };
    if (length > limit) return null;
  }
}

function replay(chunks: Uint8Array[], rest: ByteSource | null): ByteSource {
  return {
    read: async () => chunks.shift() ?? (await rest?.read()) ?? null,
    cancel: (reason) => rest?.cancel(reason),
  };
}
