import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  bytesToEvict,
  chooseVictims,
  FREE,
  hasRoom,
  isLarge,
  isStorableSize,
  LIVE,
  PINNED,
  priorityOf,
  raiseAge,
} from "../../../src/retention/policy.ts";

const candidate = fc.record({
  key: fc.string({ minLength: 1 }),
  size: fc.nat(1000),
  held: fc.constantFrom(FREE, LIVE, PINNED),
  priority: fc.nat(50),
  lastUsedAt: fc.nat(50),
});

describe("the choice of victims", () => {
  it("frees what is wanted, or all that may go, and never a pinned object", () => {
    fc.assert(
      fc.property(fc.uniqueArray(candidate, { selector: ({ key }) => key }), fc.nat(5000), (candidates, bytes) => {
        const victims = chooseVictims(candidates, bytes);
        const freed = victims.reduce((sum, { size }) => sum + size, 0);
        const may = candidates.filter(({ held }) => held < PINNED);
        expect(victims.every(({ held }) => held < PINNED)).toBe(true);
        expect(freed >= bytes || victims.length === may.length).toBe(true);
        // No more than needed: without the last one it would be too little.
        if (victims.length > 0) expect(freed - (victims.at(-1)?.size ?? 0)).toBeLessThan(bytes);
      }),
    );
  });

  it("spares what a live generation names while anything else may go", () => {
    fc.assert(
      fc.property(fc.uniqueArray(candidate, { selector: ({ key }) => key }), fc.nat(5000), (candidates, bytes) => {
        const victims = new Set(chooseVictims(candidates, bytes));
        const tookLive = [...victims].some(({ held }) => held === LIVE);
        if (tookLive) expect(candidates.filter(({ held }) => held === FREE).every((one) => victims.has(one))).toBe(true);
      }),
    );
  });

  it("does not punish size: what is used more stays, however large", () => {
    const large = { key: "a", size: 4_000_000_000, held: FREE, priority: 3, lastUsedAt: 1 };
    const small = { key: "b", size: 1, held: FREE, priority: 2, lastUsedAt: 1 };
    expect(chooseVictims([large, small], 1)).toEqual([small]);
  });
});

it("what was used longest ago goes first among those of one key: where uses are sampled, many objects have the key with which they came", () => {
  const candidates = [5, 3, 4].map((lastUsedAt) => ({ key: `${9 - lastUsedAt}`, size: 1, held: FREE, priority: 2, lastUsedAt }));
  expect(chooseVictims(candidates, 3).map(({ lastUsedAt }) => lastUsedAt)).toEqual([3, 4, 5]);
});

describe("LFUDA's L", () => {
  it("never falls, and lets what was popular once be overtaken by what is used now", () => {
    expect(raiseAge(7, { priority: 3 })).toBe(7);
    const L = raiseAge(0, { priority: 9 });
    expect(priorityOf(2, L)).toBeGreaterThan(priorityOf(10, 0));
  });
});

describe("admission", () => {
  it("evicts above 95 % of the budget, down to 90 %", () => {
    expect(bytesToEvict({ live: 90, dead: 0 }, 5, 100)).toBe(0);
    expect(bytesToEvict({ live: 90, dead: 0 }, 6, 100)).toBe(6);
  });

  it("stores nothing above 100 %, slices that are on their way out included", () => {
    expect(hasRoom({ live: 50, dead: 40 }, 10, 100)).toBe(true);
    expect(hasRoom({ live: 50, dead: 40 }, 11, 100)).toBe(false);
  });

  it("stores whatever fits once everything else has gone", () => {
    expect(isStorableSize(90, 100)).toBe(true);
    expect(isStorableSize(91, 100)).toBe(false);
    expect(bytesToEvict({ live: 0, dead: 0 }, 90, 100)).toBe(0);
  });

  it("stores a DVD image of 4.7 GB under the default budget of 9 GB", () => {
    expect(isStorableSize(4.7e9, 9e9)).toBe(true);
    expect(isLarge(4.7e9, 9e9)).toBe(true);
    expect(isLarge(4.5e9, 9e9)).toBe(false);
  });
});
