import type { ByteInput } from "./byte-input.ts";
import { MalformedError } from "./parsed-root.ts";

/**
 * What the WebAssembly of npm's `xz-decompress` exports: XZ Embedded (https://tukaani.org/xz/embedded.html), which decodes one stream after the
 * other, with a dictionary of 64 MiB at most, and compares CRC-32 and CRC-64. (Of SHA-256 and of filters for machine code, which no index has, it knows nothing.)
 */
interface XzExports {
  readonly memory: WebAssembly.Memory;
  create_context(): number;
  destroy_context(context: number): void;
  supply_input(context: number, length: number): void;
  get_next_output(context: number): number;
}

/** Words of a context: the length of both buffers, then XZ Embedded's `struct xz_buf`. */
const [BUFFER_BYTES, IN, IN_POSITION, IN_SIZE, OUT, OUT_POSITION, CONTEXT_WORDS] = [0, 1, 2, 3, 4, 5, 7] as const;

/** XZ Embedded's `enum xz_ret`. */
const [XZ_OK, XZ_STREAM_END, XZ_UNSUPPORTED_CHECK, XZ_BUF_ERROR] = [0, 1, 2, 8] as const;
const FAULTS: Readonly<Record<number, string>> = {
  3: "there is no memory for its dictionary",
  4: "its dictionary is larger than 64 MiB",
  6: "it has a filter, a check or a field that is not known here",
};

const NOTHING = new Uint8Array();

/** Opens all streams of an xz file (https://tukaani.org/xz/xz-file-format.txt), which may have zeros between them. Throws MalformedError. */
export async function* unxz(input: ByteInput, module: WebAssembly.Module): AsyncGenerator<Uint8Array> {
  // An instance for each file: its memory, which holds the dictionary, never becomes smaller.
  const xz = new WebAssembly.Instance(module, {}).exports as unknown as XzExports;
  const context = xz.create_context();
  // Memory that grows gets another buffer, so that no view may be kept.
  const words = () => new Uint32Array(xz.memory.buffer, context, CONTEXT_WORDS);
  const read = (index: number): number => words()[index] ?? 0;
  for (let isAtEnd = false; !isAtEnd;) {
    const piece = (await input.next(read(BUFFER_BYTES))) ?? NOTHING;
    // No more input is how the module learns of the end: only then it says whether the last stream is whole.
    isAtEnd = piece.length === 0;
    new Uint8Array(xz.memory.buffer, read(IN), piece.length).set(piece);
    xz.supply_input(context, piece.length);
    for (let isMore = true; isMore;) {
      const result = xz.get_next_output(context);
      const opened = read(OUT_POSITION);
      if (opened > 0) yield new Uint8Array(xz.memory.buffer, read(OUT), opened).slice();
      words()[OUT_POSITION] = 0;
      if (result === XZ_STREAM_END) return;
      // It makes no progress: it needs more input.
      if (result === XZ_BUF_ERROR) break;
      if (result !== XZ_OK && result !== XZ_UNSUPPORTED_CHECK) {
        throw new MalformedError(`it does not decompress: ${FAULTS[result] ?? "it is no xz stream, or is altered"}`);
      }
      isMore = opened === read(BUFFER_BYTES) || read(IN_POSITION) < read(IN_SIZE) || isAtEnd;
    }
  }
  throw new MalformedError("it does not decompress: it is cut off");
}
