import { readFileSync } from "node:fs";
import { parse } from "smol-toml";
import { expect, it } from "vitest";
import { oversizedVariables } from "../../../../src/local/deploy/deploy-plan.ts";

it("the shipped wrangler.toml fits into the variables of the edge", () => {
  expect(oversizedVariables(parse(readFileSync("wrangler.toml", "utf8"))["vars"] as Record<string, unknown>)).toEqual([]);
});

it("names variables over 5 KB before the edge refuses them, as text or as table, by bytes", () => {
  const problems = oversizedVariables({ A: "é".repeat(2501), B: { x: "y".repeat(5000) }, C: "z".repeat(5000), D: 1 });
  expect(problems).toEqual([expect.stringContaining("Cannot use A: it has 5002 bytes"), expect.stringContaining("Cannot use B: ")]);
});
