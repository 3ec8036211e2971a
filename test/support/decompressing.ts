import { compileXzModule } from "../../src/local/xz-module.ts";

/** What opening an index needs, in Node. */
export const DECODERS = {
  xz: compileXzModule(),
  breathe: () => new Promise<void>((resolve) => void setImmediate(resolve)),
};
