import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { estimateCost, formatCost, type Traffic } from "../../../../src/local/cost/cost.ts";

const ROOT = join(import.meta.dirname, "../../../..");
const NOTHING: Traffic = { plan: "paid", requests: 0, gb: 0, storedGb: 0, metadata: 0, cold: 0, cached: 0 };

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

  test("a cold one is two reads, a write and a call", () => {
    const cold = { requests: 1_000, gb: 0.001, cold: 1 };
    expect(amount(cold, "R2 class B")).toBe(2_000);
    expect(amount(cold, "R2 class A")).toBe(1_000);
    // And one for each hundred uses, to the ledger.
    expect(amount(cold, "Durable Object requests")).toBe(1_010);
  });

  test("a file of 20 MB is three slices", () => {
    const large = { requests: 1_000, gb: 20 };
    expect(amount(large, "R2 class B")).toBe(4_000);
    expect(amount({ ...large, cold: 1 }, "R2 class A")).toBe(5_000);
  });

  test("metadata is a call each", () => {
    expect(amount({ requests: 1_000, metadata: 1 }, "Durable Object requests")).toBe(1_010);
    expect(amount({ requests: 1_000, metadata: 1 }, "R2 class A")).toBe(0);
  });
});

test("each limit of the free plan that is exceeded is named with the day's number", () => {
  const { problems } = estimateCost({ ...NOTHING, plan: "free", requests: 30e6 });
  expect(problems).toEqual([
    "Workers requests: 1,000,000 a day, and the free plan has 100,000: use the paid plan.",
    "Durable Object rows written: 1,000,000 a day, and the free plan has 100,000: use the paid plan.",
  ]);
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

test("the table lines up", () => {
  const lines = formatCost(estimateCost({ ...NOTHING, requests: 500e6, gb: 1e6 })).split("\n");
  expect(new Set(lines.map((line) => line.length)).size).toBe(1);
});
