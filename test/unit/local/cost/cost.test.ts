import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { innerCalls, type Traffic } from "../../../../src/local/cost/amounts.ts";
import { estimateCost, formatCost } from "../../../../src/local/cost/cost.ts";

const ROOT = join(import.meta.dirname, "../../../..");
const NOTHING: Traffic = {
  plan: "paid",
  requests: 0,
  gb: 0,
  storedGb: 0,
  metadata: 0,
  cold: 0,
  cached: 0,
  upper: 0,
  remembered: 0,
  isolates: 0,
};
/** A petabyte a month to the world. */
const PETABYTE: Traffic = {
  plan: "paid",
  requests: 500e6,
  gb: 1e6,
  storedGb: 5_000,
  metadata: 0.3,
  cold: 0.02,
  cached: 0.8,
  upper: 0.9,
  remembered: 0.9,
  isolates: 50,
};

function amount(traffic: Partial<Traffic>, what: string): number {
  return estimateCost({ ...NOTHING, ...traffic }).lines.find((line) => line.what === what)?.amount ?? NaN;
}

function dollars(traffic: Partial<Traffic>, what: string): number {
  return estimateCost({ ...NOTHING, ...traffic }).lines.find((line) => line.what === what)?.dollars ?? NaN;
}

describe("the price of", () => {
  test("nothing is that of the plan", () => {
    expect(estimateCost(NOTHING).dollars).toBe(5);
    expect(estimateCost({ ...NOTHING, plan: "free" })).toMatchObject({ dollars: 0, problems: [] });
  });

  test("R2 is asked beyond its free part, on both plans: a terabyte costs 14.85", () => {
    expect(dollars({ storedGb: 10 }, "R2 storage")).toBe(0);
    expect(dollars({ storedGb: 1_000 }, "R2 storage")).toBeCloseTo(14.85);
    expect(dollars({ storedGb: 1_000, plan: "free" }, "R2 storage")).toBeCloseTo(14.85);
  });

  test("R2's operations and of Durable Objects' requests is that of whole millions, rounded up", () => {
    expect(dollars({ requests: 10e6 + 1, gb: 1 }, "R2 class B")).toBeCloseTo(0.36);
    expect(dollars({ requests: 1_000_001, gb: 1, cold: 1 }, "R2 class A")).toBeCloseTo(4.5);
  });

  test("the log is asked beyond 50 GB and 12 GB-months: 0.25 and 0.10 a GB", () => {
    // A line is 4.84 KB, and one of 200 requests is one.
    expect(dollars({ requests: 100e6 }, "Workers Logs")).toBe(0);
    const log = amount({ requests: 4_000e6 }, "Workers Logs");
    expect(dollars({ requests: 4_000e6 }, "Workers Logs")).toBeCloseTo((log - 50) * 0.25);
    expect(amount({ requests: 4_000e6 }, "Workers Logs storage")).toBeCloseTo((log * 7) / 30);
  });

  test("requests is asked beyond ten million: 0.30 a million", () => {
    expect(dollars({ requests: 110e6 }, "Workers requests")).toBeCloseTo(30);
  });

  test("egress is nothing, however much is sent of what is cached", () => {
    const traffic = { requests: 1e6, cached: 1 };
    expect(estimateCost({ ...NOTHING, ...traffic, gb: 1e6 }).dollars).toBe(estimateCost({ ...NOTHING, ...traffic, gb: 1 }).dollars);
  });
});

describe("the operations of a month are those of the budgets:", () => {
  test("a warm small package is one read, or none in the data centre's cache", () => {
    expect(amount({ requests: 1_000, gb: 0.001 }, "R2 class B")).toBe(1_000);
    expect(amount({ requests: 1_000, gb: 0.001, cached: 0.9 }, "R2 class B")).toBeCloseTo(100);
  });

  test("a cold one is two reads, a write and a call, and three calls of the ledger", () => {
    const cold = { requests: 1_000, gb: 0.001, cold: 1 };
    expect(amount(cold, "R2 class B")).toBe(2_000);
    expect(amount(cold, "R2 class A")).toBe(1_000);
    expect(amount(cold, "Durable Object requests")).toBe(4_000);
    // Where a data centre's cache answers, the pages of digest tables are there.
    expect(amount({ ...cold, cached: 0.8 }, "R2 class B")).toBeCloseTo(1_020);
  });

  test("a file of 20 MB is three slices", () => {
    const large = { requests: 1_000, gb: 20 };
    expect(amount(large, "R2 class B")).toBe(4_000);
    expect(amount({ ...large, cold: 1 }, "R2 class A")).toBe(5_000);
    // Of the slices that the nearest data centre lacks the upper tier has a share, of heads it has none.
    expect(amount({ ...large, cached: 0.5, upper: 0.9 }, "R2 class B")).toBeCloseTo(500 + 150);
  });

  test("metadata is a call each that its isolate does not remember, and a read that no data centre's cache answers", () => {
    const metadata = { requests: 1_000, metadata: 1 };
    expect(amount(metadata, "Durable Object requests")).toBe(1_000);
    expect(amount({ ...metadata, remembered: 0.9 }, "Durable Object requests")).toBeCloseTo(100);
    expect(amount(metadata, "R2 class B")).toBe(1_000);
    expect(amount({ ...metadata, cached: 0.8 }, "R2 class B")).toBeCloseTo(20);
    expect(amount(metadata, "R2 class A")).toBe(0);
  });

  test("uses are a call for each batch and ledger, and one of the ledger to the book twice a minute at most", () => {
    expect(amount({ requests: 1_000, gb: 0.001, isolates: 1 }, "Durable Object requests")).toBe(300);
    const most = amount({ requests: 1e12, gb: 1, isolates: 1 }, "Durable Object requests");
    // Thirteen ledgers, and an isolate's questions for a hundred repositories a day.
    expect(most).toBeCloseTo(2 * 21_600 * 13 + 3_000, 0);
  });

  test("rows are four for a file that is stored and goes again, and two a use that is reported", () => {
    const few = { requests: 1_000, gb: 0.001 };
    expect(amount({ ...few, cold: 1 }, "Durable Object rows written") - amount(few, "Durable Object rows written")).toBe(4_000);
    // Of many uses a random part is reported; the day's counts are rows too.
    const [half, whole] = [1e12, 2e12].map((requests) => amount({ requests, gb: 1 }, "Durable Object rows written"));
    expect(half).toBe(whole);
  });
});

test("each limit of the free plan that is exceeded is named with the day's number and its unit", () => {
  const cost = estimateCost({ ...NOTHING, plan: "free", requests: 30e6, metadata: 1, isolates: 1_000 });
  expect(cost.problems).toEqual([
    "Workers requests: 1,000,000 requests a day, and the free plan has 100,000: use the paid plan.",
    expect.stringMatching(/^Workers Logs: [\d.]+ GB a day, and the free plan has 0.5: the other lines are lost\.$/),
    expect.stringMatching(/^Durable Object requests: [\d,]+ requests a day, and the free plan has 100,000: use the paid plan\.$/),
  ]);
  // Other programs read the total as the last line.
  expect(formatCost(cost).split("\n").at(-1)).toMatch(/^ *\$\d+\.\d\d$/);
});

test("100,000 requests a day are within every limit of the free plan", () => {
  const traffic = { ...PETABYTE, plan: "free", requests: 3e6, gb: 3_000, storedGb: 9, cached: 0, remembered: 0, isolates: 10 } as const;
  expect(estimateCost(traffic).problems).toEqual([]);
});

test("a petabyte and 500 million requests a month come to 290 dollars at most, the log included", () => {
  expect(estimateCost(PETABYTE).dollars).toBeLessThanOrEqual(290);
});

test("what only a bill can show is said before the total: calls of Workers Cache, if they are requests", () => {
  // Images of 100 MB, in twelve slices.
  const images = { ...PETABYTE, gb: 35e6 };
  const text = formatCost(estimateCost(images)).split("\n");
  expect(innerCalls(images)).toBeCloseTo(823_200_000, 0);
  expect(text.at(-3)).toContain("823,200,000 of them would add $246.96");
  expect(text.at(-2)).toContain('EDGE_CACHE = "local"');
  expect(text.at(-1)).toMatch(/^ *\$\d+\.\d\d$/);
  // Files up to a slice come from R2 with their head.
  expect(estimateCost(PETABYTE).notes).toEqual([]);
});

test("the worked examples of the documentation are what the command prints", () => {
  const text = readFileSync(join(ROOT, "docs/costs.md"), "utf8");
  const examples = [...text.matchAll(/^ {4}npm run cost -- (.*)\n\n((?: {4}.*\n)+)/gm)];
  expect(examples.length).toBeGreaterThanOrEqual(2);
  for (const [, args = "", printed = ""] of examples) {
    const output = execFileSync(join(ROOT, "node_modules/.bin/node"), ["src/local/cost/cost-main.ts", ...args.split(" ")], {
      cwd: ROOT,
      encoding: "utf8",
    });
    expect(printed.replace(/^ {4}/gm, "")).toBe(output);
  }
});

test("what other guesses make of the month is in the documentation as the command works it out", () => {
  const text = readFileSync(join(ROOT, "docs/costs.md"), "utf8");
  const guesses = [...text.matchAll(/^\| `--(\w+) (\d+)` *\| \$([\d.]+) *\|$/gm)];
  expect(guesses.length).toBeGreaterThanOrEqual(8);
  for (const [, option = "", value = "", printed] of guesses) {
    const guess = option === "isolates" ? Number(value) : Number(value) / 100;
    expect(estimateCost({ ...PETABYTE, [option]: guess }).dollars.toFixed(2), `--${option} ${value}`).toBe(printed);
  }
});

test("the table lines up", () => {
  const { notes: _, ...bill } = estimateCost({ ...NOTHING, requests: 500e6, gb: 1e6 });
  const lines = formatCost({ ...bill, notes: [] }).split("\n");
  expect(new Set(lines.map((line) => line.length)).size).toBe(1);
});
