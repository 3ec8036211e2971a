/** Decimal units, as BUDGET_GB has. */
export function formatSize(bytes: number): string {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(2)} GB`;
  return bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.ceil(bytes / 1e3)} kB`;
}

/** The UTC day of a time in milliseconds since the epoch. */
export function formatDay(ms: unknown): string {
  return new Date(Number(ms)).toISOString().slice(0, 10);
}

/** The same to the minute. */
function formatMinute(ms: number): string {
  return ms === 0 ? "never" : new Date(ms).toISOString().slice(0, 16).replace("T", " ");
}

/** What `GET /-/ledger` answers, as far as it is printed. */
export interface Totals {
  readonly used: number;
  readonly budget: number;
  readonly reserved: number;
  readonly retentionDays: number;
  readonly pins: readonly string[];
  readonly shards: readonly { readonly shard: string; readonly objects: number; readonly live: number; readonly dead: number }[];
}

/** A row of `GET /-/ledger/repositories`, as far as it is printed. */
export interface RepositoryRow {
  readonly name: string;
  readonly files: number;
  readonly bytes: number;
  readonly roots: readonly {
    readonly mirror: string;
    readonly root: string;
    readonly adoptedAt: number;
    readonly confirmedAt: number;
    readonly trouble: string | null;
    readonly hold: { readonly reason: string } | null;
    readonly holes: readonly { readonly path: string; readonly reason: string }[];
  }[];
}

/** The lines of `status` before those of repositories. */
export function formatTotals({ used, budget, reserved, retentionDays, shards, pins }: Totals): readonly string[] {
  return [
    `${formatSize(used)} of ${formatSize(budget)} (${((used / budget) * 100).toFixed(1)} %), ${formatSize(reserved)} of it reserved; kept ${retentionDays} days`,
    ...shards.map(({ shard, objects, live, dead }) => {
      const name = shard === "-" ? "(by content)" : shard;
      return `  ${name.padEnd(20)} ${String(objects).padStart(8)} objects ${formatSize(live).padStart(10)}, evicted but not yet deleted ${formatSize(dead)}`;
    }),
    ...(pins.length > 0 ? [`pinned: ${pins.join("  ")}`] : []),
  ];
}

/** The lines of one repository: what is stored of it, and for each root when its generation was published and what is wrong with it. */
export function formatRepository({ name, files, bytes, roots }: RepositoryRow): readonly string[] {
  return [
    `repository ${name}  ${files} stored files of its metadata, ${formatSize(bytes)}`,
    ...roots.flatMap((root) => [
      `  ${root.mirror}/${root.root}  published ${formatMinute(root.adoptedAt)}, confirmed ${formatMinute(root.confirmedAt)} UTC`,
      ...(root.hold === null && root.trouble === null ? [] : [`    held back: ${root.hold?.reason ?? root.trouble ?? ""}`]),
      ...root.holes.map((hole) => `    missing: ${hole.path}: ${hole.reason}`),
    ]),
  ];
}
