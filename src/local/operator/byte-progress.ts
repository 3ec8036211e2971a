import { printable } from "../../http/printable.ts";

/** Draws at most this often. */
const DRAW_MS = 100;

/** How many of `total` bytes are done, on a terminal; without one only `say` prints. */
export function createByteProgress(total: number, output: { readonly isTTY?: boolean; write(text: string): unknown }) {
  const isLive = output.isTTY === true;
  let done = 0;
  let drawnAt = 0;
  const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);
  return {
    step(bytes: number): void {
      done += bytes;
      if (!isLive || Date.now() - drawnAt < DRAW_MS) return;
      drawnAt = Date.now();
      output.write(`\r\x1b[K${megabytes(done)} of ${megabytes(total)} MB (${total === 0 ? 100 : Math.floor((done / total) * 100)} %)`);
    },
    /** Prints a line above the figures. */
    say(line: string): void {
      output.write(`${isLive ? "\r\x1b[K" : ""}${printable(line)}\n`);
    },
    end(): void {
      if (isLive) output.write("\r\x1b[K");
    },
  };
}
