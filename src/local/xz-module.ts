import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

/** How the Worker's bundle imports the module, and what its file in `src/metadata/` is called. */
export const XZ_MODULE_NAME = "xz.wasm";

const MARK = "data:application/wasm;base64,";

/**
 * The WebAssembly inside npm's `xz-decompress`, which carries it as base64 in its script and compiles it when it runs. Cloudflare forbids that: there a
 * module has to be imported as a file (docs/decisions/0011-reading-indexes.md). Throws if the package has none.
 */
export function readXzModule(): Buffer<ArrayBuffer> {
  const require = createRequire(import.meta.url);
  const file = require.resolve("xz-decompress");
  const script = readFileSync(file, "utf8");
  const start = script.indexOf(MARK);
  const end = script.indexOf('"', start);
  if (start < 0 || end < 0) throw new Error(`Cannot find the WebAssembly of xz in ${file}: it should hold "${MARK}…"`);
  return Buffer.from(script.slice(start + MARK.length, end), "base64");
}

// The types are a Worker's, which may compile no bytes.
const Module = WebAssembly.Module as unknown as new (bytes: Uint8Array) => WebAssembly.Module;

/** The module, for Node. */
export function compileXzModule(): WebAssembly.Module {
  return new Module(readXzModule());
}

/** Writes the module where wrangler and the tests import it from, unless it is there. */
export function writeXzModule(): void {
  const module = readXzModule();
  const file = join(import.meta.dirname, "../metadata", XZ_MODULE_NAME);
  if (!existsSync(file) || !readFileSync(file).equals(module)) writeFileSync(file, module);
}
