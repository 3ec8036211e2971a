import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { median, parseDuration } from "../../../bench/bench-measure.ts";
import { atLeast, atMost, formatMarkdown, formatNumber, OURS, reach, type Row } from "../../../bench/bench-report.ts";
import { V8_FLAGS } from "../../../bench/peers/references.ts";
import { rotate } from "../../../bench/sections/section.ts";

const field = { names: ["direct", "squid", "nginx", "constant", OURS], rivals: ["squid", "nginx"] };

function rowOf(what: string, better: Row["better"], values: Readonly<Record<string, number>>, ...aims: Parameters<typeof reach>[0][]): Row {
  const figures = new Map(Object.entries(values).map(([peer, value]) => [peer, { median: value, min: value, max: value }]));
  return { section: "Hits", what, unit: "/s", better, values: figures, targets: aims.flatMap((aim) => reach(aim, figures) ?? []) };
}

function partOf(report: string, heading: string): string {
  return report.split("### ").find((part) => part.startsWith(heading)) ?? "";
}

describe("the report of the bench", () => {
  it("lists what is behind the best peer first, the worst on top, and neither the origin nor a reference is a peer", () => {
    const report = formatMarkdown(
      [
        rowOf("a little", "more", { direct: 900, squid: 50, nginx: 100, constant: 500, [OURS]: 80 }),
        rowOf("far", "less", { direct: 1, squid: 20, nginx: 10, constant: 1, [OURS]: 100 }),
        rowOf("ahead", "more", { direct: 900, squid: 50, nginx: 60, constant: 500, [OURS]: 90 }),
      ],
      field,
    );
    const behind = partOf(report, "Behind the best peer");
    expect(report.startsWith("### Behind the best peer")).toBe(true);
    expect(behind.indexOf("far")).toBeLessThan(behind.indexOf("a little"));
    expect(behind).not.toContain("ahead");
    expect(behind).toMatch(/far +\| \/s +\| +100 \| +10 \| +10 \| nginx/);
    expect(partOf(report, "Ahead of the best peer")).toMatch(/ahead +\| \/s +\| +90 \| +60 \| +1\.5 \| nginx/);
  });

  it("lists each target that is missed, and none that is met", () => {
    const report = formatMarkdown(
      [
        rowOf("slow", "more", { squid: 100, [OURS]: 50 }, atLeast(1, "squid")),
        rowOf("quick", "less", { squid: 100, [OURS]: 50 }, atMost(1, "squid")),
      ],
      field,
    );
    expect(partOf(report, "Targets missed")).toContain("slow");
    expect(partOf(report, "Targets missed")).not.toContain("quick");
  });

  it("says nothing of a target whose peer was not measured, nor of a row that ours is missing from", () => {
    const report = formatMarkdown(
      [rowOf("alone", "more", { [OURS]: 50 }, atLeast(1, "squid")), rowOf("theirs", "more", { squid: 9, nginx: 8 })],
      field,
    );
    expect(partOf(report, "Targets missed")).toContain("None.");
    expect(partOf(report, "Behind the best peer")).toContain("Nothing.");
  });

  it("shows the least and the most of the turns", () => {
    const values = new Map([[OURS, { median: 5, min: 4, max: 7 }]]);
    const report = formatMarkdown([{ section: "Hits", what: "x", unit: "ms", better: "less", values, targets: [] }], field);
    expect(partOf(report, "Least and most")).toContain("4 to 7");
  });

  it("writes no ratio to nothing", () => {
    expect(formatNumber(Infinity)).toBe("–");
    expect(formatNumber(12_345.6)).toBe("12,346");
    expect(formatNumber(0.012345)).toBe("0.0123");
  });
});

describe("measuring", () => {
  it("runs the constant on the V8 flags of the product", () => {
    const source = readFileSync(join(import.meta.dirname, "../../../src/local/server/workerd-config.ts"), "utf8");
    const flags = /V8_FLAGS = (\[.*?\]);/s.exec(source)?.[1] ?? "[]";
    expect(V8_FLAGS).toEqual(JSON.parse(flags));
  });

  it.each([
    ["850.00us", 0.85],
    ["1.23ms", 1.23],
    ["2.50s", 2500],
    ["1.00m", 60_000],
  ])("reads wrk's %s as %d ms", (text, ms) => {
    expect(parseDuration(text)).toBeCloseTo(ms, 6);
  });

  it("has no duration where wrk printed none", () => {
    expect(parseDuration(undefined)).toBeNaN();
  });

  it("takes the middle, or the mean of the two in the middle", () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([9, 1, 5, 6])).toBe(5.5);
  });

  it("begins each turn with another peer", () => {
    expect(rotate(["a", "b", "c"], 4)).toEqual(["b", "c", "a"]);
    expect(rotate([], 4)).toEqual([]);
  });
});
