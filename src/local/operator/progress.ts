import { printable } from "../../http/printable.ts";
import { formatSize } from "./format.ts";

/** The line is drawn anew at most this often. */
const REDRAW_MS = 100;

/**
 * How far a download of `total` files is: on a terminal a line that is redrawn in place, with the bytes of all files and how far the oldest under way is.
 * Without a terminal only `say` and `end` print.
 */
export function createProgress(total: number, output: { readonly isTTY?: boolean; write(text: string): unknown }) {
  const isLive = output.isTTY === true;
  const underWay = new Map<symbol, { readonly name: string; bytes: number; size: number | null }>();
  let done = 0;
  let doneBytes = 0;
  let drawnAt = 0;

  function line(): string {
    const bytes = [...underWay.values()].reduce((sum, file) => sum + file.bytes, doneBytes);
    const [file] = underWay.values();
    const sized =
      file?.size == null || file.size === 0 ? "" : ` of ${formatSize(file.size)} (${Math.floor((file.bytes / file.size) * 100)} %)`;
    const part = file === undefined ? "" : `; ${file.name}: ${formatSize(file.bytes)}${sized}`;
    return printable(`${done} of ${total} files, ${formatSize(bytes)}${part}`);
  }

  function draw(): void {
    if (!isLive || Date.now() - drawnAt < REDRAW_MS) return;
    drawnAt = Date.now();
    output.write(`\r\x1b[K${line().slice(0, 100)}`);
  }

  return {
    /** One more file is under way. `at` receives what `MirrorClient.warm` reports of it, `end` the bytes that arrived. */
    begin(path: string) {
      const id = Symbol(path);
      const file: { readonly name: string; bytes: number; size: number | null } = {
        name: path.slice(path.lastIndexOf("/") + 1),
        bytes: 0,
        size: null,
      };
      underWay.set(id, file);
      draw();
      return {
        at(bytes: number, size: number | null): void {
          file.bytes = bytes;
          file.size = size;
          draw();
        },
        end(bytes: number): void {
          underWay.delete(id);
          done++;
          doneBytes += bytes;
          draw();
        },
      };
    },
    /** Prints a line above. */
    say(text: string): void {
      output.write(`${isLive ? "\r\x1b[K" : ""}${printable(text)}\n`);
      draw();
    },
    end(): void {
      output.write(`${isLive ? "\r\x1b[K" : ""}${line()}\n`);
    },
  };
}
