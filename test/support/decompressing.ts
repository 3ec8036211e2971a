import { readXzModule } from "../../src/local/xz-module.ts";

// Workers may compile no bytes, so that their types know no constructor.
const Module = WebAssembly.Module as unknown as new (bytes: Uint8Array) => WebAssembly.Module;

/** What opening an index needs, in Node. */
export const DECODERS = {
  xz: new Module(readXzModule()),
  breathe: () => new Promise<void>((resolve) => void setImmediate(resolve)),
};
