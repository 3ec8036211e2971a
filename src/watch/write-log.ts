import { printable } from "../http/printable.ts";
import { batchLines, type BatchLinesDependencies } from "./batch-lines.ts";
import type { RequestRecord } from "./counters.ts";

/** Writes one line of the log. Names, reasons and headers of upstreams and clients stand in it: no terminal gets their control characters raw. */
export function writeLog(level: "info" | "warn" | "error", message: string): void {
  console[level](printable(message));
}

/** Returns what writes one line of JSON for each request: at once, or in batches where there is what `batchLines` works with. */
export function createRecordWriter(batches: Omit<BatchLinesDependencies, "write"> | null): (record: RequestRecord) => void {
  // Lines of several requests in one message: each was escaped before.
  const write = (lines: string): void => console.log(lines);
  const writeLine = batches === null ? write : batchLines({ ...batches, write });
  return (record) => writeLine(printable(JSON.stringify(record)));
}
