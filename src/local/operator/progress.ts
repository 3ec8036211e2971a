const WIDTH = 30;

/** A bar of files done, redrawn in place on a terminal; elsewhere nothing but what is said. */
export interface Progress {
  step(bytes: number): void;
  /** A line of its own above the bar. */
  say(line: string): void;
  end(): void;
}

export function createProgress(total: number, output: { readonly isTTY?: boolean; write(text: string): unknown }): Progress {
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
    step(more) {
      done++;
      bytes += more;
      draw();
    },
    say(line) {
      output.write(`${isLive ? "\r\x1b[K" : ""}${line}\n`);
      draw();
    },
    end() {
      output.write(isLive ? "\n" : `${done} of ${total} files, ${(bytes / 1e6).toFixed(1)} MB\n`);
    },
  };
}
