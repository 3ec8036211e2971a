import { printable } from "../../http/printable.ts";

const WIDTH = 30;

/** A progress bar over `total` files, redrawn in place on a terminal. Without a terminal only `say` and `end` print. */
export function createProgress(total: number, output: { readonly isTTY?: boolean; write(text: string): unknown }) {
  const isLive = output.isTTY === true;
  let done = 0;
  let bytes = 0;
  const draw = () => {
    if (!isLive) return;
    const filled = total === 0 ? WIDTH : Math.round((done / total) * WIDTH);
    output.write(`\r\x1b[K[${"#".repeat(filled)}${"-".repeat(WIDTH - filled)}] ${done}/${total} files, ${(bytes / 1e6).toFixed(1)} MB`);
  };
  draw();
  return {
    /** One more file is done, with so many bytes. */
    step(more: number): void {
      done++;
      bytes += more;
      draw();
    },
    /** Prints a line above the bar. */
    say(line: string): void {
      output.write(`${isLive ? "\r\x1b[K" : ""}${printable(line)}\n`);
      draw();
    },
    end(): void {
      output.write(isLive ? "\n" : `${done} of ${total} files, ${(bytes / 1e6).toFixed(1)} MB\n`);
    },
  };
}
