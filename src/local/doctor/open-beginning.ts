import { setImmediate as breathe } from "node:timers/promises";
import { decompress } from "../../metadata/formats/decompress.ts";
import { compileXzModule } from "../xz-module.ts";

/** Enough to name some thousand packages. */
const MAX_OPEN_BYTES = 4 * 1024 * 1024;

/** The text of the beginning of an index, packed by gzip, xz, zstd or bzip2 or not at all: as much as can be opened; empty where nothing can. */
export async function openBeginning(beginning: Uint8Array): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  try {
    for await (const piece of decompress(chunksOf(beginning), { maxBytes: 2 * MAX_OPEN_BYTES, xz: compileXzModule(), breathe })) {
      text += decoder.decode(piece, { stream: true });
      if (text.length > MAX_OPEN_BYTES) break;
    }
  } catch {
    // A beginning ends in the middle of its compressed form.
  }
  return text;
}

async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
