import type { WriteStream } from "node:tty";
import yoctoSpinner from "yocto-spinner";
import { printable } from "../../http/printable.ts";

/** The line is drawn anew at most this often. */
const DRAW_MS = 100;
/** Terminals that are narrower wrap the line. */
const MAX_CHARACTERS = 100;

/** One line of a terminal that says how far a long work is. Where `output` is no terminal, only `say` prints. */
export function createStatusLine(output: WriteStream) {
  // The program ends by the signal itself, as without this line.
  const spinner = output.isTTY ? yoctoSpinner({ stream: output, handleSignals: false }).start() : null;
  let drawnAt = 0;
  return {
    /** Calls `line` for the text only when the line is to be drawn. */
    draw(line: () => string): void {
      if (spinner === null || Date.now() - drawnAt < DRAW_MS) return;
      drawnAt = Date.now();
      spinner.text = printable(line()).slice(0, MAX_CHARACTERS);
    },
    /** Prints a line above. */
    say(line: string): void {
      output.write(`${printable(line)}\n`);
    },
    /** Takes the line away. */
    end(): void {
      spinner?.stop();
    },
  };
}
