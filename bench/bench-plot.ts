import { formatNumber, OURS, type Row } from "./bench-report.ts";

const OUR_COLOUR = "#1a73e8";
const COLOURS = ["#9aa0a6", "#c58af9", "#f6aea9", "#fdd663", "#81c995", "#78d9ec", "#fcad70", "#5f6368", "#bdc1c6", "#dadce0"];
const BAR_HEIGHT = 12;
const BAR_WIDTH = 340;
const LABEL_WIDTH = 430;
const KEY_WIDTH = 130;
const KEYS_A_LINE = 5;
const KEY_HEIGHT = 18;

/** Bars for each row, each row to its own scale. */
export function formatSvg(rows: readonly Row[], peers: readonly string[]): string {
  const shown = peers.filter((peer) => rows.some(({ values }) => values.has(peer)));
  const parts: string[] = [];
  const colourOf = (peer: string): string => (peer === OURS ? OUR_COLOUR : (COLOURS[peers.indexOf(peer) % COLOURS.length] ?? "black"));
  for (const [at, peer] of shown.entries()) {
    const [x, y] = [10 + (at % KEYS_A_LINE) * KEY_WIDTH, 8 + Math.floor(at / KEYS_A_LINE) * KEY_HEIGHT];
    parts.push(
      `<rect x="${x}" y="${y}" width="12" height="12" fill="${colourOf(peer)}"/><text x="${x + 16}" y="${y + 10}">${escapeXml(peer)}</text>`,
    );
  }
  let y = 16 + Math.ceil(shown.length / KEYS_A_LINE) * KEY_HEIGHT;
  for (const { section, what, unit, values } of rows) {
    const most = Math.max(...[...values.values()].map(({ median }) => median));
    const label = `${section}: ${what}, ${unit}`;
    parts.push(`<text x="${LABEL_WIDTH - 8}" y="${y + (values.size * BAR_HEIGHT) / 2 + 4}" text-anchor="end">${escapeXml(label)}</text>`);
    for (const peer of shown) {
      const value = values.get(peer)?.median;
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
