/** One line of the report: a figure of each peer, medians of the repeats. */
export interface Row {
  readonly section: string;
  readonly what: string;
  readonly unit: string;
  readonly values: ReadonlyMap<string, number>;
  readonly target?: Target | undefined;
}

/** What ours should be, as a share of another's (or alone), and whether it is. */
export interface Target {
  readonly text: string;
  readonly actual: number;
  readonly isMet: boolean;
}

export const OURS = "Lazy Mirror";

/** `actual` is ours over `other`'s, or ours where there is no other. */
export function atLeast(values: ReadonlyMap<string, number>, limit: number, other?: string): Target {
  const actual = ratioOf(values, other);
  return { text: `≥ ${limit}${other === undefined ? "" : ` × ${other}`}`, actual, isMet: actual >= limit };
}

export function atMost(values: ReadonlyMap<string, number>, limit: number, other?: string): Target {
  const actual = ratioOf(values, other);
  return { text: `≤ ${limit}${other === undefined ? "" : ` × ${other}`}`, actual, isMet: actual <= limit };
}

function ratioOf(values: ReadonlyMap<string, number>, other: string | undefined): number {
  return (values.get(OURS) ?? NaN) / (other === undefined ? 1 : (values.get(other) ?? NaN));
}

/** A table for each section. */
export function formatMarkdown(rows: readonly Row[], peers: readonly string[]): string {
  return [...Map.groupBy(rows, ({ section }) => section)]
    .map(([section, of]) => {
      const names = peers.filter((peer) => of.some(({ values }) => values.has(peer)));
      const cells = of.map(({ what, unit, values, target }) => [
        what,
        unit,
        ...names.map((name) => formatNumber(values.get(name))),
        target === undefined ? "" : `${target.text}: ${formatNumber(target.actual)} ${target.isMet ? "✓" : "✗"}`,
      ]);
      return `### ${section}\n\n${formatTable([["", "unit", ...names, "target"], ...cells])}`;
    })
    .join("\n\n");
}

/** Columns as wide as their widest cell, figures to the right. */
function formatTable(cells: readonly (readonly string[])[]): string {
  const widths = (cells[0] ?? []).map((_, column) => Math.max(3, ...cells.map((row) => row[column]?.length ?? 0)));
  const isFigure = (column: number): boolean => column >= 2 && column < widths.length - 1;
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => (isFigure(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0))).join(" | ")} |`;
  const rule = widths.map((width, column) => (isFigure(column) ? `${"-".repeat(width - 1)}:` : "-".repeat(width)));
  const [head = [], ...body] = cells;
  return [line(head), line(rule), ...body.map(line)].join("\n");
}

function formatNumber(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return "–";
  if (value >= 1000) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(3)));
}

const COLOURS = ["#9aa0a6", "#c58af9", "#f6aea9", "#fdd663", "#1a73e8"];
const BAR_HEIGHT = 12;
const BAR_WIDTH = 360;
const LABEL_WIDTH = 260;
const TOP = 34;

/** Bars for each row, each row to its own scale. */
export function formatSvg(rows: readonly Row[], peers: readonly string[]): string {
  let y = TOP;
  const parts: string[] = [];
  const colourOf = (peer: string): string => COLOURS[peers.indexOf(peer) % COLOURS.length] ?? "black";
  for (const [at, peer] of peers.entries()) {
    parts.push(
      `<rect x="${10 + at * 130}" y="8" width="12" height="12" fill="${colourOf(peer)}"/><text x="${26 + at * 130}" y="18">${peer}</text>`,
    );
  }
  for (const { section, what, unit, values } of rows) {
    const most = Math.max(...values.values());
    const label = `${section}: ${what}, ${unit}`;
    parts.push(`<text x="${LABEL_WIDTH - 8}" y="${y + (values.size * BAR_HEIGHT) / 2 + 4}" text-anchor="end">${escapeXml(label)}</text>`);
    for (const peer of peers) {
      const value = values.get(peer);
      if (value === undefined) continue;
      const width = Math.max(1, (value / most) * BAR_WIDTH);
      parts.push(
        `<rect x="${LABEL_WIDTH}" y="${y}" width="${width.toFixed(1)}" height="${BAR_HEIGHT - 2}" fill="${colourOf(peer)}"/>`,
        `<text x="${(LABEL_WIDTH + width + 6).toFixed(1)}" y="${y + BAR_HEIGHT - 3}">${formatNumber(value)}</text>`,
      );
      y += BAR_HEIGHT;
    }
    y += BAR_HEIGHT;
  }
  const size = `width="${LABEL_WIDTH + BAR_WIDTH + 80}" height="${y}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} font-family="sans-serif" font-size="11">\n<rect width="100%" height="100%" fill="white"/>\n${parts.join("\n")}\n</svg>\n`;
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
