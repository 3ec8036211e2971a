import { describe, expect, it } from "vitest";
import type { Batch } from "../../../src/retention/batch.ts";
import { createRetention } from "../../../src/retention/retention.ts";
import { createUseSampler } from "../../../src/retention/sample-uses.ts";
import { emptyDay } from "../../../src/watch/history.ts";
import { createRandom } from "../../chaos/random.ts";
import { createLedgers, DAY_MS } from "../../support/ledgers.ts";
import { createMemoryStore } from "../../support/memory-store.ts";

const NOON = Date.UTC(2026, 10, 27, 12);

describe("the uses that an isolate reports", () => {
  it("are all of them, as one each, until the ledger wants fewer", () => {
    const sampler = createUseSampler({ random: () => 0.99, now: () => NOON });
    expect([sampler.weigh("fedora/a"), sampler.isSampling()]).toEqual([1, false]);
  });

  it("are one of so many, which counts as so many, so that sums are right", () => {
    const random = createRandom(7);
    const sampler = createUseSampler({ random: random.next, now: () => NOON });
    sampler.follow(32);
    let [sum, reports] = [0, 0];
    const uses = 320_000;
    for (let use = 0; use < uses; use++) {
      const weight = sampler.weigh("fedora/a");
      sum += weight;
      reports += weight > 0 ? 1 : 0;
    }
    // The sum's standard deviation is 31^0.5 * 320,000^0.5, which is 1 % of it.
    expect(Math.abs(sum / uses - 1)).toBeLessThan(0.05);
    expect(reports * 32).toBe(sum);
  });

  it("of a content-addressed file are its first on each day in any case: a file in weekly use never looks unused", () => {
    let now = NOON;
    const sampler = createUseSampler({ random: () => 0.999, now: () => now });
    sampler.follow(1_000);
    const week = (): readonly number[] => ["-/sha256/a", "-/sha256/a", "-/sha256/b", "fedora/a"].map(sampler.weigh);
    for (let weeks = 0; weeks < 13; weeks++, now += 7 * DAY_MS) expect(week()).toEqual([1, 0, 1, 0]);
  });
});

describe("what the ledger asks for", () => {
  it("follows from the requests of yesterday, or of today where these are more, and the uses that it takes a day", () => {
    let now = NOON;
    const ledgers = createLedgers({ store: createMemoryStore(() => now), now: () => now, budget: 1e9, usesADay: 1_000 });
    const report = (requests: number) => {
      const day = new Date(now).toISOString().slice(0, 10);
      return ledgers.book.report("fedora", { objects: 0, live: 0, dead: 0 }, [], [{ ...emptyDay("fedora", day), requests }]).oneIn;
    };
    expect([report(999), report(1), report(1)]).toEqual([1, 1, 2]);
    expect(report(31_000)).toBe(33);
    now += DAY_MS;
    expect(report(10)).toBe(33);
    now += DAY_MS;
    expect(report(10)).toBe(1);
  });

  it("is what the isolate does from its next use on", async () => {
    const batches: Batch[] = [];
    const retention = createRetention({
      ledger: () => ({
        record: async (batch) => (batches.push(batch), { used: 0, ageFactor: 0, oneIn: 50 }),
        reserve: async () => ({ admitted: true, used: 0, ageFactor: 0 }),
      }),
      budget: 1e9,
      classOf: () => "package",
      now: () => NOON,
      random: () => 0.01,
      sleep: () => new Promise(() => {}),
      waitUntil: () => {},
      log: () => {},
    });
    for (let times = 0; times < 2; times++) {
      retention.use("fedora/a", 10);
      await retention.flush();
    }
    expect(batches.flatMap(({ uses }) => uses).map(({ uses, served }) => [uses, served])).toEqual([
      [1, 10],
      [50, 500],
    ]);
  });
});
