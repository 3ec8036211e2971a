import { XZ_MAGIC } from "../../verify/xz.ts";
import type { ByteInput } from "./byte-input.ts";
import { MalformedError } from "./parsed-root.ts";

/**
 * What the WebAssembly of npm's `xz-decompress` exports: XZ Embedded (https://tukaani.org/xz/embedded.html), which decodes one stream, with a
 * dictionary of 64 MiB at most, and compares CRC-32 and CRC-64. (Other checks it passes over: a digest of the file proves more.)
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
  6: "it has a filter or a field that is not known here",
};

const PADDING_BYTES = 4;
const MAX_STREAMS = 16_384;

/** Opens all streams of an xz file (https://tukaani.org/xz/xz-file-format.txt) and passes over the zeros between them. Throws MalformedError. */
export async function* unxz(input: ByteInput, module: WebAssembly.Module): AsyncGenerator<Uint8Array> {
  // An instance for each file: its memory, which holds the dictionary, never becomes smaller.
  const xz = new WebAssembly.Instance(module, {}).exports as unknown as XzExports;
  for (let streams = 0; ; streams++) {
    if (streams >= MAX_STREAMS) throw new MalformedError(`it has more than ${MAX_STREAMS} xz streams`);
    yield* decodeStream(input, xz);
    for (let next = await input.peek(PADDING_BYTES); next[0] !== XZ_MAGIC[0]; next = await input.peek(PADDING_BYTES)) {
      if (next.length === 0) return;
      if (next.some((byte) => byte !== 0)) throw new MalformedError("it does not decompress: what follows an xz stream is none");
      await input.skip(next.length);
    }
  }
}

async function* decodeStream(input: ByteInput, xz: XzExports): AsyncGenerator<Uint8Array> {
  const context = xz.create_context();
  // Memory that grows gets another buffer, so that no view may be kept.
  const words = () => new Uint32Array(xz.memory.buffer, context, CONTEXT_WORDS);
  const read = (index: number): number => words()[index] ?? 0;
  try {
    for (;;) {
      const piece = await input.next(read(BUFFER_BYTES));
      if (piece === null) throw new MalformedError("it does not decompress: it is cut off");
      new Uint8Array(xz.memory.buffer, read(IN), piece.length).set(piece);
      xz.supply_input(context, piece.length);
      for (let isFull = true; isFull || read(IN_POSITION) < read(IN_SIZE);) {
        const result = xz.get_next_output(context);
        const opened = read(OUT_POSITION);
        isFull = opened === read(BUFFER_BYTES);
        if (opened > 0) yield new Uint8Array(xz.memory.buffer, read(OUT), opened).slice();
        words()[OUT_POSITION] = 0;
        if (result === XZ_STREAM_END) {
          input.unread(piece.subarray(read(IN_POSITION)));
          return;
        }
        // It makes no progress: it needs more input.
        if (result === XZ_BUF_ERROR) break;
        if (result !== XZ_OK && result !== XZ_UNSUPPORTED_CHECK) {
          throw new MalformedError(`it does not decompress: ${FAULTS[result] ?? "it is no xz stream, or is altered"}`);
        }
      }
    }
  } finally {
    xz.destroy_context(context);
  }
}
