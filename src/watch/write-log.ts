import { printable } from "../http/printable.ts";
import type { LogMode } from "../config/config.ts";
import { batchLines, type BatchLinesDependencies } from "./batch-lines.ts";
import type { RequestRecord } from "./counters.ts";
import { createRecordSampler, type RecordSamplerDependencies } from "./sample-records.ts";

/** Writes one line of the log. Names, reasons and headers of upstreams and clients stand in it: no terminal gets their control characters raw. */
export function writeLog(level: "info" | "warn" | "error", message: string): void {
  console[level](printable(message));
}

/**
 * Returns what writes one line of JSON for a request: for each, for some with their weight (sample-records.ts), or for none. At once, or in batches where
 * there is what `batchLines` works with.
 */
export function createRecordWriter(
  mode: LogMode,
  batches: Omit<BatchLinesDependencies, "write"> | null,
  sampling: RecordSamplerDependencies,
): (record: RequestRecord) => void {
  if (mode === "off") return () => {};
  const weigh = mode === "sampled" ? createRecordSampler(sampling) : () => 1;
  // Lines of several requests in one message: each was escaped before.
  const write = (lines: string): void => console.log(lines);
  const writeLine = batches === null ? write : batchLines({ ...batches, write });
  return (record) => {
    const weight = weigh(record);
    if (weight > 0) writeLine(printable(JSON.stringify(weight === 1 ? record : { ...record, weight })));
  };
}
