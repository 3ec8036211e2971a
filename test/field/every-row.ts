import { ABSENCE } from "./absence.ts";
import { WEDGE } from "./files-that-must-not-wedge.ts";
import { LABELS } from "./labels.ts";
import { LENGTHS } from "./lengths.ts";
import { PAIRS } from "./pairs.ts";
import { PROTECTION } from "./protection.ts";
import { FREEZE } from "./repositories-that-must-not-freeze.ts";
import type { Shape } from "./shape.ts";
import { THIRD_PARTY } from "./third-party.ts";

/** All rows by kind, in the order of docs/field.md. */
export const EVERY_ROW: Readonly<Record<string, readonly Shape[]>> = {
  "A repository must not freeze": FREEZE,
  "A file must not wedge": WEDGE,
  "A label must not decide over bytes": LABELS,
  "A body without a length is no trouble": LENGTHS,
  "What is absent is absent, and no trouble": ABSENCE,
  "A pair has one life": PAIRS,
  "Protection must not end silently": PROTECTION,
  "Third-party repositories in miniature": THIRD_PARTY,
};

/** The tables of docs/field.md, as `npx oxfmt` would not leave them: compare without blanks and dashes. */
export function formatTables(): string {
  return Object.entries(EVERY_ROW)
    .map(([kind, rows]) => {
      const lines = rows.map(
        ({ id, upstream, clients, promised }) => `| \`${id}\` | ${[upstream, clients, promised].map(escapeCell).join(" | ")} |`,
      );
      return `## ${kind}\n\n| row | the upstream | clients | what is promised |\n| - | - | - | - |\n${lines.join("\n")}\n`;
    })
    .join("\n");
}

/** A bar would end the cell; angle brackets and stars are Markdown's own. */
function escapeCell(text: string): string {
  return text
    .replaceAll("|", String.raw`\|`)
    .replaceAll("<", "&lt;")
    .replaceAll("*", String.raw`\*`)
    .replaceAll("_", String.raw`\_`);
}
