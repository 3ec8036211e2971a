import { printableLines } from "../http/printable.ts";

/** Prints one or more lines on standard output. What upstreams, clients or a mirror sent reaches no terminal raw. */
export function printLines(lines: string): void {
  process.stdout.write(`${printableLines(lines)}\n`);
}

/** The same on standard error. */
export function printError(lines: string): void {
  process.stderr.write(`${printableLines(lines)}\n`);
}

/** Has this command end quietly once the reader of its output has gone, as `head` does after the lines that it wants. */
export function endWithReader(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit();
  });
}
