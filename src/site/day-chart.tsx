import type { DayCount } from "../watch/history.ts";
import { formatBytes } from "../http/format-bytes.ts";

const WIDTH = 280;
const HEIGHT = 72;
const GAP = 4;
/** The least height of a bar above 0, so that it is visible. */
const MIN_BAR = 1.5;

interface DayChartProps {
  readonly mirror: string;
  readonly days: readonly string[];
  readonly counts: readonly DayCount[];
}

/** One mirror's bytes served, as a bar for each of `days`: at the bottom bytes from the store, on top bytes that had to be fetched. Days without counts stay empty. */
export function DayChart({ mirror, days, counts }: DayChartProps) {
  const most = Math.max(1, ...counts.map(({ served }) => served));
  const scale = (bytes: number) => (bytes === 0 ? 0 : Math.max(MIN_BAR, (bytes / most) * HEIGHT));
  const step = WIDTH / days.length;
  const served = counts.reduce((sum, one) => sum + one.served, 0);
  const saved = counts.reduce((sum, one) => sum + one.saved, 0);
  const label = `${mirror}: ${formatBytes(served)} served in ${days.length} days, ${formatBytes(saved)} of it from the store`;
  return (
    <figure>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT + 16}`} role="img" aria-label={label}>
        <line class="axis" x1="0" x2={WIDTH} y1={HEIGHT + 0.5} y2={HEIGHT + 0.5} />
        {days.map((day, at) => {
          const one = counts.find((count) => count.day === day);
          if (one === undefined) return null;
          const stored = scale(one.saved);
          const fetched = scale(one.served - one.saved);
          const bar = { x: at * step + GAP / 2, width: step - GAP };
          return (
            <g>
              <title>{`${day}: ${formatBytes(one.served)} served, ${formatBytes(one.saved)} of it from the store`}</title>
              <rect class="bar-held" {...bar} y={HEIGHT - stored} height={stored} />
              <rect class="bar-fetched" {...bar} y={HEIGHT - stored - fetched} height={fetched} />
            </g>
          );
        })}
        <text x="0" y={HEIGHT + 13}>
          {days[0]?.slice(5)}
        </text>
        <text x={WIDTH} y={HEIGHT + 13} text-anchor="end">
          {days.at(-1)?.slice(5)}
        </text>
      </svg>
      <figcaption>
        <strong>{mirror}</strong> <span class="soft">{formatBytes(served)} served</span>
      </figcaption>
    </figure>
  );
}
