import type { WriteStream } from "node:tty";
import { formatSize } from "./format.ts";
import { createStatusLine } from "./status-line.ts";

/**
 * How far a download of `total` files is: on a terminal a line that is redrawn in place, with the bytes of all files and how far the oldest under way is.
 * Without a terminal only `say` and `end` print.
 */
export function createProgress(total: number, output: WriteStream) {
  const status = createStatusLine(output);
  const underWay = new Map<symbol, { readonly name: string; bytes: number; size: number | null }>();
  let done = 0;
  let doneBytes = 0;

  function line(): string {
    const bytes = [...underWay.values()].reduce((sum, file) => sum + file.bytes, doneBytes);
    const [file] = underWay.values();
    const sized =
      file?.size == null || file.size === 0 ? "" : ` of ${formatSize(file.size)} (${Math.floor((file.bytes / file.size) * 100)} %)`;
    const part = file === undefined ? "" : `; ${file.name}: ${formatSize(file.bytes)}${sized}`;
    return `${done} of ${total} files, ${formatSize(bytes)}${part}`;
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
      status.draw(line);
      return {
        at(bytes: number, size: number | null): void {
          file.bytes = bytes;
          file.size = size;
          status.draw(line);
        },
        end(bytes: number): void {
          underWay.delete(id);
          done++;
          doneBytes += bytes;
          status.draw(line);
        },
      };
    },
    say: status.say,
    end(): void {
      status.end();
      status.say(line());
    },
  };
}
