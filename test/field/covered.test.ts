import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { EVERY_ROW, formatTables } from "./every-row.ts";

const ids = Object.values(EVERY_ROW).flatMap((rows) => rows.map(({ id }) => id));

it(`docs/field.md lists the ${ids.length} rows as they are`, () => {
  const text = readFileSync(join(import.meta.dirname, "../../docs/field.md"), "utf8");
  const missing = linesOf(formatTables()).filter((line) => !linesOf(text).includes(line));
  expect(missing).toEqual([]);
  expect(linesOf(text).filter((line) => line.startsWith("|`") && !linesOf(formatTables()).includes(line))).toEqual([]);
});

it("no two rows share a name: a mirror of the server is named by its row", () => {
  expect(ids.filter((id, at) => ids.indexOf(id) !== at)).toEqual([]);
});

/** Table lines without the blanks that align their columns. */
function linesOf(text: string): string[] {
  return text.split("\n").flatMap((line) => (line.startsWith("|") ? [line.replaceAll(/ *\| */g, "|").replaceAll(/-+/g, "-")] : []));
}
