import { printLines } from "../print.ts";
import { formatSize } from "./format.ts";

/** Prints what a verb answers: as text, or as JSON, one value a line. */
export type Printer = ReturnType<typeof createPrinter>;

export function createPrinter(isJson: boolean) {
  const text = printLines;
  const value = (one: object): void => text(JSON.stringify(one));
  return {
    isJson,
    text,
    value,
    /** Prints a row of the ledger; `note` only as text. What lies by its content goes by the paths that name it. */
    row(row: Readonly<Record<string, unknown>>, note: string): void {
      if (isJson) return value(row);
      const paths = (row["paths"] ?? []) as readonly string[];
      const [first = String(row["key"]), ...others] = paths;
      const more = others.length === 0 ? "" : `, and ${others.length} other ${others.length === 1 ? "path" : "paths"}`;
      const key = paths.length === 0 ? "" : `; ${String(row["key"])}`;
      text(`${formatSize(Number(row["size"])).padStart(10)}  ${first}${more}  (${note}${key})`);
    },
    done: (answer: object, line: string): void => (isJson ? value(answer) : text(line)),
  };
}
