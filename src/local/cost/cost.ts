import { estimateAmounts, innerCalls, type Traffic } from "./amounts.ts";
import { FREE_A_DAY, type Item, PAID_PLAN_DOLLARS, PRICES } from "./prices.ts";

const DAYS = 30;

/**
 * Estimates the month's bill: its lines, the total in US dollars, one problem for each limit of the plan that this traffic exceeds, and notes on what only a
 * bill can show.
 */
export function estimateCost(traffic: Traffic) {
  const isPaid = traffic.plan === "paid";
  const amounts = estimateAmounts(traffic);
  const usage = Object.entries(PRICES).map(([what, { unit, dollars, per, included, isWhole }]) => {
    const amount = amounts[what as Item];
    const free = isPaid ? undefined : FREE_A_DAY[what as Item];
    const units = isPaid || what.startsWith("R2") ? Math.max(0, amount - included) / per : 0;
    // A number that is not whole only by the error of its calculation is not rounded up.
    const billed = isWhole === true && units > 0 ? Math.ceil(units - 1e-9) : units;
    return { what, amount, unit, included: free === undefined ? included : free * DAYS, dollars: billed * dollars };
  });
  const plan = { what: "Workers paid plan", amount: 1, unit: "month", included: 0, dollars: PAID_PLAN_DOLLARS };
  const lines = isPaid ? [plan, ...usage] : usage;
  return {
    lines,
    dollars: lines.reduce((sum, line) => sum + line.dollars, 0),
    problems: isPaid ? [] : overFree(amounts),
    notes: isPaid ? noteInnerCalls(traffic) : [],
  };
}

/** Cloudflare's pages say that requests to a Worker with caching are billed, and that calls inside an account are not. */
function noteInnerCalls(traffic: Traffic): readonly string[] {
  const calls = innerCalls(traffic);
  const { dollars, per } = PRICES["Workers requests"];
  if (calls < per) return [];
  return [
    `Only a bill shows whether calls of Workers Cache count as requests: ${format(calls)} of them would add $${((calls / per) * dollars).toFixed(2)}.`,
    'If they do: EDGE_CACHE = "local" makes none.',
  ];
}

function overFree(amounts: Readonly<Record<Item, number>>): readonly string[] {
  return Object.entries(FREE_A_DAY).flatMap(([what, most]) => {
    const aDay = amounts[what as Item] / DAYS;
    const advice = what === "Workers Logs" ? "the other lines are lost" : "use the paid plan";
    const { unit } = PRICES[what as Item];
    return aDay > most ? [`${what}: ${format(aDay)} ${unit} a day, and the free plan has ${format(most)}: ${advice}.`] : [];
  });
}

/** Formats the bill as a table, then the problems and the notes; the total is the last line. */
export function formatCost({ lines, dollars, problems, notes }: ReturnType<typeof estimateCost>): string {
  const rows = lines.map(
    (line) => [line.what, `${format(line.amount)} ${line.unit}`, format(line.included), `$${line.dollars.toFixed(2)}`] as const,
  );
  const table = [["", "a month", "included", "dollars"] as const, ...rows, ["", "", "", `$${dollars.toFixed(2)}`] as const];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  const text = table.map((row) =>
    row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join("  "),
  );
  return [...text.slice(0, -1), ...problems, ...notes, ...text.slice(-1)].join("\n");
}

function format(value: number): string {
  return value.toLocaleString("en", { maximumFractionDigits: value < 100 ? 1 : 0 });
}
