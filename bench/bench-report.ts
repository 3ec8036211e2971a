/** A figure of one peer: the median of its turns, and the least and the most. */
export interface Figure {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** One line of the report: a figure of each peer. */
export interface Row {
  readonly section: string;
  readonly what: string;
  readonly unit: string;
  /** Which is better, more or less of it; absent where neither is, or where another row says the same. */
  readonly better?: "more" | "less" | undefined;
  readonly values: ReadonlyMap<string, Figure>;
  readonly targets: readonly Target[];
}

/** What ours should be, as a share of another's (or alone), and whether it is. */
export interface Target {
  readonly text: string;
  readonly actual: number;
  readonly isMet: boolean;
}

export const OURS = "Lazy Mirror";
export const DIRECT = "direct";
/** Better than the best peer, or worse, by less than this is as good. */
const AS_GOOD = 1.05;

/** What ours should reach: at least (or at most) `limit` times what `other` has, or `limit` itself. */
export interface Aim {
  readonly is: "≥" | "≤";
  readonly limit: number;
  readonly other?: string;
}

export const atLeast = (limit: number, other?: string): Aim => ({ is: "≥", limit, ...(other !== undefined && { other }) });
export const atMost = (limit: number, other?: string): Aim => ({ is: "≤", limit, ...(other !== undefined && { other }) });

/** `actual` is ours over the other's, or ours where there is no other; undefined where one of the two was not measured. */
export function reach({ is, limit, other }: Aim, values: Row["values"]): Target | undefined {
  const ours = values.get(OURS)?.median;
  const theirs = other === undefined ? 1 : values.get(other)?.median;
  if (ours === undefined || theirs === undefined) return undefined;
  const actual = ours / theirs;
  const text = `${is} ${limit}${other === undefined ? "" : ` × ${other}`}`;
  return { text, actual, isMet: is === "≥" ? actual >= limit : actual <= limit };
}

/** Which peers compete: not the origin, not the references of the runtime, not ours. */
interface Field {
  readonly names: readonly string[];
  readonly rivals: readonly string[];
}

interface Best {
  readonly name: string;
  readonly median: number;
  /** Ours over it, turned so that more is better. */
  readonly share: number;
}

function bestOf({ better, values }: Row, { rivals }: Field): Best | undefined {
  const ours = values.get(OURS)?.median;
  if (better === undefined || ours === undefined) return undefined;
  const sign = better === "more" ? -1 : 1;
  const all = rivals.flatMap((name) => ({ name, median: values.get(name)?.median ?? NaN })).filter(({ median }) => !Number.isNaN(median));
  const [best] = all.toSorted((one, other) => sign * (one.median - other.median));
  if (best === undefined) return undefined;
  return { ...best, share: better === "more" ? ours / best.median : best.median / ours };
}

/** What we lose, what misses its target, what we win, and a table for each section. */
export function formatMarkdown(rows: readonly Row[], field: Field): string {
  const compared = rows.flatMap((row) => {
    const best = bestOf(row, field);
    return best === undefined ? [] : [{ row, best }];
  });
  const missed = rows.flatMap((row) => row.targets.filter(({ isMet }) => !isMet).map((target) => ({ row, target })));
  const against = (which: typeof compared): string =>
    formatTable([
      ["", "unit", OURS, "best peer", "ours ÷ best", ""],
      ...which.map(({ row: { section, what, unit, values }, best }) => [
        `${section}: ${what}`,
        unit,
        formatNumber(values.get(OURS)?.median),
        formatNumber(best.median),
        formatNumber((values.get(OURS)?.median ?? NaN) / best.median),
        best.name,
      ]),
    ]);
  const behind = compared.filter(({ best }) => best.share < 1 / AS_GOOD).toSorted((one, other) => one.best.share - other.best.share);
  const ahead = compared.filter(({ best }) => best.share > AS_GOOD).toSorted((one, other) => other.best.share - one.best.share);
  return [
    `### Behind the best peer\n\n${behind.length === 0 ? "Nothing." : against(behind)}`,
    `### Targets missed\n\n${
      missed.length === 0
        ? "None."
        : formatTable([
            ["", "target", "is"],
            ...missed.map(({ row, target }) => [`${row.section}: ${row.what}`, target.text, formatNumber(target.actual)]),
          ])
    }`,
    `### Ahead of the best peer\n\n${ahead.length === 0 ? "Nothing." : against(ahead)}`,
    ...[...Map.groupBy(rows, ({ section }) => section)].map(([section, of]) => `### ${section}\n\n${formatSection(of, field)}`),
    `### Least and most of the turns\n\n<details><summary>for each figure above</summary>\n\n${formatSpread(rows, field)}\n\n</details>`,
  ].join("\n\n");
}

function formatSection(rows: readonly Row[], field: Field): string {
  const names = field.names.filter((peer) => rows.some(({ values }) => values.has(peer)));
  const hasDirect = names.includes(DIRECT);
  const cells = rows.map((row) => {
    const ours = row.values.get(OURS)?.median ?? NaN;
    const best = bestOf(row, field);
    return [
      row.what,
      row.unit,
      ...names.map((name) => formatNumber(row.values.get(name)?.median)),
      ...(hasDirect ? [formatNumber(ours / (row.values.get(DIRECT)?.median ?? NaN))] : []),
      best === undefined ? "" : formatNumber(ours / best.median),
      row.targets.map(({ text, actual, isMet }) => `${text}: ${formatNumber(actual)} ${isMet ? "✓" : "✗"}`).join("; "),
    ];
  });
  return formatTable([["", "unit", ...names, ...(hasDirect ? ["÷ direct"] : []), "÷ best peer", "target"], ...cells]);
}

function formatSpread(rows: readonly Row[], { names }: Field): string {
  const shown = names.filter((peer) => rows.some(({ values }) => values.has(peer)));
  return formatTable([
    ["", "unit", ...shown],
    ...rows.map(({ section, what, unit, values }) => [
      `${section}: ${what}`,
      unit,
      ...shown.map((name) => {
        const figure = values.get(name);
        return figure === undefined ? "–" : `${formatNumber(figure.min)} to ${formatNumber(figure.max)}`;
      }),
    ]),
  ]);
}

/** Columns as wide as their widest cell; all but the first two and the last are figures, and go to the right. */
function formatTable(cells: readonly (readonly string[])[]): string {
  const widths = (cells[0] ?? []).map((_, column) => Math.max(3, ...cells.map((row) => row[column]?.length ?? 0)));
  const isFigure = (column: number): boolean => column >= 2 && column < widths.length - 1;
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => (isFigure(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0))).join(" | ")} |`;
  const rule = widths.map((width, column) => (isFigure(column) ? `${"-".repeat(width - 1)}:` : "-".repeat(width)));
  const [head = [], ...body] = cells;
  return [line(head), line(rule), ...body.map(line)].join("\n");
}

/** Three digits, all of them in front of the point from a thousand on. */
export function formatNumber(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return "–";
  if (value >= 1000) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(3)));
}
