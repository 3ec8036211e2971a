import type { WriteStream } from "node:tty";
import { createStatusLine } from "./status-line.ts";

/** How many of `total` bytes are done, on a terminal; without one only `say` prints. */
export function createByteProgress(total: number, output: WriteStream) {
  const status = createStatusLine(output);
  let done = 0;
  const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);
  return {
    step(bytes: number): void {
      done += bytes;
      status.draw(() => `${megabytes(done)} of ${megabytes(total)} MB (${total === 0 ? 100 : Math.floor((done / total) * 100)} %)`);
    },
    say: status.say,
    end: status.end,
  };
}
