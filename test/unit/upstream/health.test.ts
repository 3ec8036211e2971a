import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Health, HealthEvent } from "../../../src/upstream/health.ts";
import { NEW_HEALTH, availability, orderUpstreams, updateHealth } from "../../../src/upstream/health.ts";

const failure: HealthEvent = { kind: "failure", random: 1 };
const success: HealthEvent = { kind: "success" };

function healthAfter(events: readonly HealthEvent[], now = 0): Health {
  return events.reduce((health, event) => updateHealth(health, event, now), NEW_HEALTH);
}

describe("the breaker", () => {
  test("opens after three failures in a row, not after two", () => {
    expect(availability(healthAfter([failure, failure]), 0)).toBe("ready");
    expect(availability(healthAfter([failure, failure, failure]), 0)).toBe("open");
  });

  test("opens when half of the answers fail, though no three in a row do", () => {
    const mixed = Array.from({ length: 5 }, () => [success, failure]).flat();
    expect(availability(healthAfter(mixed), 0)).toBe("open");
    const rare = Array.from({ length: 5 }, () => [success, success, success, failure]).flat();
    expect(availability(healthAfter(rare), 0)).toBe("ready");
  });

  test("lets one probe through when the back-off is over", () => {
    const open = healthAfter([failure, failure, failure]);
    const later = open.openUntil + 1;
    expect(availability(open, later)).toBe("probe-due");
    const probing = updateHealth(open, { kind: "probe", limitMs: 5_000 }, later);
    expect(availability(probing, later)).toBe("open");
  });

  test("takes a probe that never came back for lost", () => {
    const open = healthAfter([failure, failure, failure]);
    const probing = updateHealth(open, { kind: "probe", limitMs: 5_000 }, 60_000);
    expect(availability(probing, 65_001)).toBe("probe-due");
  });

  test("waits longer after each failed probe, and closes with the first answer", () => {
    let health = healthAfter([failure, failure, failure]);
    const waits: number[] = [];
    for (let probe = 0; probe < 10; probe++) {
      const now = health.openUntil + 1;
      health = updateHealth(health, { kind: "probe", limitMs: 1 }, now);
      health = updateHealth(health, failure, now);
      waits.push(health.openUntil - now);
    }
    expect(waits).toEqual(waits.toSorted((a, b) => a - b));
    expect(waits.at(-1)).toBeLessThanOrEqual(300_000);
    expect(availability(updateHealth(health, { kind: "answered", firstByteMs: 1 }, 0), 0)).toBe("ready");
  });

  test("is not opened further by requests that had set out before it opened", () => {
    const open = healthAfter([failure, failure, failure]);
    expect(updateHealth(open, failure, 1).openUntil).toBe(open.openUntil);
  });

  test("is never open for longer than its limit, and always ends, whatever happens", () => {
    const events = fc.oneof(
      fc.record({ kind: fc.constant("failure" as const), random: fc.double({ min: 0, max: 1, noNaN: true }) }),
      fc.constant(success),
      fc.record({ kind: fc.constant("answered" as const), firstByteMs: fc.nat(60_000) }),
      fc.record({ kind: fc.constant("retry-after" as const), seconds: fc.nat() }),
      fc.record({ kind: fc.constant("probe" as const), limitMs: fc.nat(5_000) }),
      fc.record({ kind: fc.constant("flow" as const), bytes: fc.nat(), waitedMs: fc.nat(100_000) }),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(events, fc.nat(10_000))), (steps) => {
        let health = NEW_HEALTH;
        let now = 0;
        for (const [event, wait] of steps) {
          now += wait;
          health = updateHealth(health, event, now);
          expect(health.openUntil - now).toBeLessThanOrEqual(300_000);
          expect(health.recent.length).toBeLessThanOrEqual(20);
          expect(["ready", "probe-due"]).toContain(availability(health, now + 3_600_001));
        }
        expect(availability(updateHealth(health, success, now + 3_600_001), now + 3_600_001)).toBe("ready");
      }),
    );
  });
});

describe("the order of upstreams", () => {
  const order = (healths: Record<string, Health>, now = 0): readonly string[] =>
    orderUpstreams(Object.keys(healths), (name) => healths[name] ?? NEW_HEALTH, now);
  const quick = healthAfter([{ kind: "answered", firstByteMs: 50 }]);
  const slow = healthAfter([{ kind: "answered", firstByteMs: 4_000 }]);
  const open = healthAfter([failure, failure, failure]);

  test("is that of preference while all work", () => {
    expect(order({ a: NEW_HEALTH, b: quick, c: quick })).toEqual(["a", "b", "c"]);
  });

  test("puts one with a slow first byte after the others", () => {
    expect(order({ a: slow, b: quick })).toEqual(["b", "a"]);
    expect(order({ a: slow, b: NEW_HEALTH })).toEqual(["b", "a"]);
  });

  test("puts one with little throughput after the others", () => {
    const thin = updateHealth(quick, { kind: "flow", bytes: 300_000, waitedMs: 10_000 }, 0);
    expect(order({ a: thin, b: quick })).toEqual(["b", "a"]);
  });

  test("keeps preference where all are equally slow", () => {
    expect(order({ a: slow, b: slow })).toEqual(["a", "b"]);
  });

  test("gives a slow one another chance after five minutes", () => {
    expect(order({ a: slow, b: quick }, 300_001)).toEqual(["a", "b"]);
  });

  test("asks behind an open breaker only last, and in its place once a probe is due", () => {
    expect(order({ a: open, b: NEW_HEALTH })).toEqual(["b", "a"]);
    expect(order({ a: open, b: NEW_HEALTH }, open.openUntil + 1)).toEqual(["a", "b"]);
    expect(order({ a: open })).toEqual(["a"]);
  });

  test("leaves out one that asked to wait until it is over (RFC 9110 §10.2.3)", () => {
    const held = healthAfter([{ kind: "retry-after", seconds: 120 }]);
    expect(order({ a: held, b: NEW_HEALTH })).toEqual(["b"]);
    expect(order({ a: held, b: NEW_HEALTH }, 120_001)).toEqual(["a", "b"]);
  });
});
