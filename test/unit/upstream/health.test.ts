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

  test("says the end of a back-off in whole milliseconds, which the log and the status page show", () => {
    const open = healthAfter([failure, failure, { kind: "failure", random: 0.123_456_7 }]);
    expect(open.openUntil).toSatisfy(Number.isInteger);
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
      fc.record({ kind: fc.constant("limited" as const), seconds: fc.option(fc.nat(), { nil: undefined }) }),
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

describe("one path", () => {
  const path = "hot.deb";
  const open = (health: Health): boolean => availability(health, 0) === "open";

  test("that fails each time is one failure, however often it is asked for, also between successes of others", () => {
    expect(open(healthAfter(Array.from({ length: 50 }, () => ({ ...failure, path }))))).toBe(false);
    const mixed = Array.from({ length: 50 }, () => [
      { ...failure, path },
      { ...success, path: "other.deb" },
    ]).flat();
    expect(open(healthAfter(mixed))).toBe(false);
    expect(open(healthAfter(["a", "b", "c"].map((each) => ({ ...failure, path: each }))))).toBe(true);
  });

  test("that is never answered speaks for the whole upstream once no other was answered for half a minute", () => {
    const silence = { ...failure, isSilent: true, path };
    const proven = healthAfter([success, silence, silence, silence, silence], 1);
    expect(availability(proven, 1)).toBe("ready");
    const later = [silence, silence].reduce((health, event) => updateHealth(health, event, 30_001), proven);
    expect(availability(later, 30_001)).toBe("open");
  });

  test("that is slow does not make the upstream slow: two in a row must be", () => {
    const slow = { kind: "answered", firstByteMs: 4_000 } as const;
    const flow = { kind: "flow", bytes: 300_000, waitedMs: 60_000 } as const;
    const one = healthAfter([slow, slow, flow, flow].map((event) => ({ ...event, path })));
    expect([one.firstByteMs, one.bytesPerSecond]).toEqual([undefined, undefined]);
    expect(
      healthAfter([
        { ...slow, path },
        { ...slow, path: "other.deb", firstByteMs: 50 },
      ]).firstByteMs,
    ).toBe(50);
    expect(
      healthAfter([
        { ...flow, path },
        { ...flow, path: "other.deb" },
      ]).bytesPerSecond,
    ).toBe(5_000);
  });
});

test("headers do not close the breaker of an upstream that breaks its bodies off: only a whole response does", () => {
  const cut = ["a", "b", "c"].map((path) => ({ ...failure, isBody: true, path }));
  const answered = healthAfter([...cut, { kind: "answered", firstByteMs: 1 }]);
  expect(availability(answered, 0)).toBe("open");
  expect(availability(updateHealth(answered, success, 0), 0)).toBe("ready");
});

describe("an upstream that limits this mirror", () => {
  test("is asked by one request at a time, after a pause that grows to ten seconds at most", () => {
    let [health, now] = [NEW_HEALTH, 0];
    const pauses: number[] = [];
    for (let times = 0; times < 6; times++) {
      health = updateHealth(health, { kind: "limited", seconds: 3_600 }, now);
      pauses.push(health.heldUntil - now);
      expect(availability(health, now)).toBe("held");
      now = health.heldUntil;
      expect(availability(health, now)).toBe("probe-due");
      health = updateHealth(health, { kind: "probe", limitMs: 5_000 }, now);
      expect(availability(health, now)).toBe("held");
    }
    expect(pauses).toEqual([1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
    // The request was lost: the next one has the turn.
    expect(availability(health, now + 5_000)).toBe("probe-due");
  });

  test("is free again with the first answer to a later request, not with one to an earlier one, nor with a body under way", () => {
    const limited = healthAfter([{ kind: "limited", seconds: undefined }], 10_000);
    for (const event of [{ kind: "answered", firstByteMs: 2_000 }, success] as const)
      expect(availability(updateHealth(limited, event, 11_000), 11_000)).toBe("probe-due");
    expect(availability(updateHealth(limited, { kind: "answered", firstByteMs: 500 }, 11_000), 11_000)).toBe("ready");
  });

  test.each([0, 0.5])("waits no longer than a Retry-After of %d s", (seconds) => {
    expect(healthAfter([{ kind: "limited", seconds }], 5_000).heldUntil).toBe(5_000 + seconds * 1_000);
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

  test("leaves out one that limits this mirror until its pause is over (RFC 6585 §4)", () => {
    const held = healthAfter([{ kind: "limited", seconds: 120 }]);
    expect(order({ a: held, b: NEW_HEALTH })).toEqual(["b"]);
    expect(order({ a: held, b: NEW_HEALTH }, 120_001)).toEqual(["a", "b"]);
  });
});
