/** A month's traffic of a mirror. Shares are numbers from 0 to 1. */
export interface Traffic {
  readonly plan: "free" | "paid";
  /** All requests of clients in the month. */
  readonly requests: number;
  /** Sent to clients, in GB (10⁹ bytes). */
  readonly gb: number;
  /** At rest in R2, in GB. */
  readonly storedGb: number;
  /** Share of all requests that ask for repository metadata (roots and members). */
  readonly metadata: number;
  /** Share of the package requests that are the first for their file. */
  readonly cold: number;
  /** Share of the other package requests (warm ones), and of the metadata requests, that a data centre's cache answers. */
  readonly cached: number;
}

const SLICE_BYTES = 8 * 1024 * 1024;
const DAYS = 30;

/** R2 reads (class B) of one request by its kind, as test/worker/budget.test.ts proves them. */
const CLASS_B = { warm: 1, cold: 2, metadata: 1 };
const WRITES_FOR_SLICED_HEAD = 2;
/** One call to the ledger reports so many uses. The ledger writes two rows (one in an index) per object, and a batch has about half as many objects as uses. */
const USES_A_BATCH = 100;
const ROWS_A_USE = 2 * 0.5;
/** CPU milliseconds of one answer, and of one GB that the pump fetches: measured by bench/cpu-per-mb.ts. */
const CPU_MS = { request: 0.5, coldGb: 1_700 };
/** A coordinator, billed as 128 MB, runs while its file is fetched, at this speed. */
const FETCH_MB_PER_SECOND = 20;
const OBJECT_GB = 0.128;
const CALL_SECONDS = 0.01;

/** Cloudflare's prices of November 2026, paid plan; R2's are the same on both: US dollars for `per` units beyond what is included in a month. */
const PRICES = {
  "Workers requests": { unit: "requests", dollars: 0.3, per: 1e6, included: 10e6 },
  "Workers CPU": { unit: "ms", dollars: 0.02, per: 1e6, included: 30e6 },
  "R2 storage": { unit: "GB-month", dollars: 0.015, per: 1, included: 10 },
  "R2 class A": { unit: "operations", dollars: 4.5, per: 1e6, included: 1e6 },
  "R2 class B": { unit: "operations", dollars: 0.36, per: 1e6, included: 10e6 },
  "Durable Object requests": { unit: "requests", dollars: 0.15, per: 1e6, included: 1e6 },
  "Durable Object duration": { unit: "GB-s", dollars: 12.5, per: 1e6, included: 400e3 },
  "Durable Object rows written": { unit: "rows", dollars: 1, per: 1e6, included: 50e6 },
};

type Item = keyof typeof PRICES;

const PAID_PLAN_DOLLARS = 5;

/** Daily limits of the free plan; requests beyond them fail. */
const FREE_A_DAY: Partial<Record<Item, number>> = {
  "Workers requests": 100e3,
  "Durable Object requests": 100e3,
  "Durable Object duration": 13e3,
  "Durable Object rows written": 100e3,
};

/**
 * Estimates the month's bill: its lines, the total in US dollars, and one problem for each limit of the plan that this traffic exceeds. It takes all
 * package files for equally large: gb divided by the package requests.
 */
export function estimateCost(traffic: Traffic) {
  const isPaid = traffic.plan === "paid";
  const amounts = estimateAmounts(traffic);
  const usage = Object.entries(PRICES).map(([what, { unit, dollars, per, included }]) => {
    const amount = amounts[what as Item];
    const free = isPaid ? undefined : FREE_A_DAY[what as Item];
    const billed = isPaid || what.startsWith("R2") ? Math.max(0, amount - included) : 0;
    return { what, amount, unit, included: free === undefined ? included : free * DAYS, dollars: (billed / per) * dollars };
  });
  const plan = { what: "Workers paid plan", amount: 1, unit: "month", included: 0, dollars: PAID_PLAN_DOLLARS };
  const lines = isPaid ? [plan, ...usage] : usage;
  return { lines, dollars: lines.reduce((sum, line) => sum + line.dollars, 0), problems: isPaid ? [] : overFree(amounts) };
}

function estimateAmounts({ requests, gb, storedGb, metadata, cold, cached }: Traffic): Record<Item, number> {
  const metadataRequests = requests * metadata;
  const packages = requests - metadataRequests;
  const coldPackages = packages * cold;
  const warm = (packages - coldPackages) * (1 - cached);
  const bytes = packages === 0 ? 0 : (gb * 1e9) / packages;
  // A file that fits in one slice is one object without slices.
  const slices = bytes > SLICE_BYTES ? Math.ceil(bytes / SLICE_BYTES) : 0;
  const coldGb = (coldPackages * bytes) / 1e9;
  const calls = metadataRequests + coldPackages + requests / USES_A_BATCH;
  return {
    "Workers requests": requests,
    "Workers CPU": requests * CPU_MS.request + coldGb * CPU_MS.coldGb,
    "R2 storage": storedGb,
    "R2 class A": coldPackages * (slices === 0 ? 1 : slices + WRITES_FOR_SLICED_HEAD),
    "R2 class B": warm * (CLASS_B.warm + slices) + coldPackages * CLASS_B.cold + metadataRequests * (1 - cached) * CLASS_B.metadata,
    "Durable Object requests": calls,
    "Durable Object duration": (calls * CALL_SECONDS + (coldGb * 1_000) / FETCH_MB_PER_SECOND) * OBJECT_GB,
    "Durable Object rows written": requests * ROWS_A_USE,
  };
}

function overFree(amounts: Readonly<Record<Item, number>>): readonly string[] {
  return Object.entries(FREE_A_DAY).flatMap(([what, most]) => {
    const aDay = Math.round(amounts[what as Item] / DAYS);
    return aDay > most
      ? [`${what}: ${aDay.toLocaleString("en")} a day, and the free plan has ${most.toLocaleString("en")}: use the paid plan.`]
      : [];
  });
}

/** Formats the bill as a table, the total as its last line, and after it the problems. */
export function formatCost({ lines, dollars, problems }: ReturnType<typeof estimateCost>): string {
  const number = (value: number): string => value.toLocaleString("en", { maximumFractionDigits: value < 100 ? 1 : 0 });
  const rows = lines.map(
    (line) => [line.what, `${number(line.amount)} ${line.unit}`, number(line.included), `$${line.dollars.toFixed(2)}`] as const,
  );
  const table = [["", "a month", "included", "dollars"] as const, ...rows, ["", "", "", `$${dollars.toFixed(2)}`] as const];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  const text = table.map((row) =>
    row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join("  "),
  );
  return [...text, ...problems].join("\n");
}
