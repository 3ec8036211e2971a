import { describe, expect, test } from "vitest";
import type { PathClass } from "../../../src/config/config.ts";
import { ageSecondsOf, freshness, type FreshnessQuestion, needsRenewal } from "../../../src/serve/freshness.ts";
import { isDoubtful } from "../../../src/serve/shared/client.ts";

const NOW = Date.UTC(2026, 0, 1);
const CONFIG = { metadataTtlSeconds: 60, retentionDays: 90 };
const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
const DAY = 24 * HOUR;

/** How long ago the copy was stored; `ahead`: a wrong clock dated it a day into the future. */
const AGES = {
  "0s": 0,
  "59s": 59 * SECOND,
  "60s": 60 * SECOND,
  "119s": 119 * SECOND,
  "120s": 120 * SECOND,
  "23h": 23 * HOUR,
  "24h": 24 * HOUR,
  "89d": 89 * DAY,
  "90d": 90 * DAY,
  ahead: -DAY,
} as const;

const FAILED_SECONDS: Readonly<Record<string, number>> = { "failed-now": 9, failed: 30, "failed-before": 60 };

/** `doubted`: the client asks whether this is still the file. An upstream could not be asked `failed-now`: 9 s ago, `failed`: 30 s, `failed-before`: 60 s. */
const TABLE = `
                                           0s   59s  60s  119s 120s 23h  24h  89d  90d  ahead
  package          -        -              use  use  use  use  use  use  use  use  ask  ask
  package          doubted  -              use  use  ask  ask  ask  ask  ask  ask  ask  ask
  package          -        failed         use  use  use  use  use  use  use  use  use  use
  package          doubted  failed         use  use  use  use  use  use  use  use  use  use
  package          -        failed-before  use  use  use  use  use  use  use  use  ask  ask
  package          doubted  failed-before  use  use  ask  ask  ask  ask  ask  ask  ask  ask
  unstable-package -        -              use  use  use  use  use  use  ask  ask  ask  ask
  unstable-package doubted  -              use  use  ask  ask  ask  ask  ask  ask  ask  ask
  unstable-package -        failed         use  use  use  use  use  use  use  use  use  use
  unstable-package doubted  failed         use  use  use  use  use  use  use  use  use  use
  unstable-package -        failed-before  use  use  use  use  use  use  ask  ask  ask  ask
  unstable-package doubted  failed-before  use  use  ask  ask  ask  ask  ask  ask  ask  ask
  hashed           -        -              use  use  use  use  use  use  use  use  ask  ask
  hashed           doubted  -              use  use  use  use  use  use  use  use  ask  ask
  hashed           -        failed         use  use  use  use  use  use  use  use  use  use
  hashed           doubted  failed         use  use  use  use  use  use  use  use  use  use
  hashed           -        failed-before  use  use  use  use  use  use  use  use  ask  ask
  hashed           doubted  failed-before  use  use  use  use  use  use  use  use  ask  ask
  volatile         -        -              use  use  use  use  ask  ask  ask  ask  ask  ask
  volatile         doubted  -              use  use  use  use  ask  ask  ask  ask  ask  ask
  volatile         -        failed         use  use  use  use  ask  ask  ask  ask  ask  ask
  volatile         doubted  failed         use  use  use  use  ask  ask  ask  ask  ask  ask
  volatile         -        failed-now     use  use  use  use  use  use  use  use  use  use
  volatile         doubted  failed-now     use  use  use  use  use  use  use  use  use  use
  volatile         -        failed-before  use  use  use  use  ask  ask  ask  ask  ask  ask
  volatile         doubted  failed-before  use  use  use  use  ask  ask  ask  ask  ask  ask
  root             -        -              use  use  ask  ask  ask  ask  ask  ask  ask  ask
  root             doubted  -              use  use  ask  ask  ask  ask  ask  ask  ask  ask
  root             -        failed         use  use  ask  ask  ask  ask  ask  ask  ask  ask
  root             doubted  failed         use  use  ask  ask  ask  ask  ask  ask  ask  ask
  root             -        failed-before  use  use  ask  ask  ask  ask  ask  ask  ask  ask
  root             doubted  failed-before  use  use  ask  ask  ask  ask  ask  ask  ask  ask
  member           -        -              use  use  ask  ask  ask  ask  ask  ask  ask  ask
  member           doubted  -              use  use  ask  ask  ask  ask  ask  ask  ask  ask
  member           -        failed         use  use  ask  ask  ask  ask  ask  ask  ask  ask
  member           doubted  failed         use  use  ask  ask  ask  ask  ask  ask  ask  ask
  member           -        failed-before  use  use  ask  ask  ask  ask  ask  ask  ask  ask
  member           doubted  failed-before  use  use  ask  ask  ask  ask  ask  ask  ask  ask
  pass             -        -              gone gone gone gone gone gone gone gone gone gone
  pass             doubted  -              gone gone gone gone gone gone gone gone gone gone
  pass             -        failed         gone gone gone gone gone gone gone gone gone gone
  pass             doubted  failed         gone gone gone gone gone gone gone gone gone gone
  pass             -        failed-before  gone gone gone gone gone gone gone gone gone gone
  pass             doubted  failed-before  gone gone gone gone gone gone gone gone gone gone
`;

const CASES = TABLE.trim()
  .split("\n")
  .slice(1)
  .flatMap((line) => {
    const [pathClass = "", doubt = "", failure = "", ...verdicts] = line.trim().split(/\s+/);
    return Object.keys(AGES).map(
      (age, at) => [pathClass as PathClass, age as keyof typeof AGES, doubt, failure, verdicts[at] ?? ""] as const,
    );
  });

function question(change: Partial<FreshnessQuestion>): FreshnessQuestion {
  return {
    stored: { storedAt: NOW },
    where: { kind: "own", key: "m/x" },
    settled: undefined,
    class: "package",
    isDoubted: false,
    answeredAt: 0,
    failedAt: 0,
    doubtedAt: 0,
    signed: null,
    now: NOW,
    ...change,
  };
}

describe("a stored copy under its own key", () => {
  test("is judged for each class, age, doubt and failed question", () => {
    expect(CASES).toHaveLength((7 * 2 * 3 + 2) * Object.keys(AGES).length);
    expect(new Set(CASES.map((one) => one.slice(0, 4).join())).size).toBe(CASES.length);
  });

  test.each(CASES)("%s, %s old, %s, %s: %s", (pathClass, age, doubt, failure, verdict) => {
    const failedAt = failure === "-" ? 0 : NOW - (FAILED_SECONDS[failure] ?? Number.NaN) * SECOND;
    const asked = question({ class: pathClass, stored: { storedAt: NOW - AGES[age] }, isDoubted: doubt === "doubted", failedAt });
    expect(freshness(asked, CONFIG).kind).toBe(verdict);
  });

  test.each<PathClass>(["package", "unstable-package", "hashed", "volatile", "root", "member", "pass"])(
    "%s: nothing there is gone",
    (pathClass) => {
      expect(freshness(question({ class: pathClass, stored: null }), CONFIG)).toEqual({ kind: "gone" });
    },
  );

  test.each<readonly [PathClass, keyof typeof AGES]>([
    ["package", "60s"],
    ["unstable-package", "24h"],
    ["volatile", "120s"],
    ["root", "60s"],
    ["package", "ahead"],
    ["volatile", "ahead"],
  ])("%s, %s old, is fresh again once an upstream has answered", (pathClass, age) => {
    const asked = { class: pathClass, stored: { storedAt: NOW - AGES[age] }, isDoubted: pathClass === "package" };
    expect(freshness(question(asked), CONFIG).kind).toBe("ask");
    expect(freshness(question({ ...asked, answeredAt: NOW - 59 * SECOND }), CONFIG)).toMatchObject({ kind: "use", ageSeconds: 59 });
  });

  test("that an index names by a digest which is not known of it is asked about at its next use, once a minute", () => {
    const stored = { storedAt: NOW - HOUR, provisional: true } as const;
    expect(freshness(question({ stored }), CONFIG).kind).toBe("ask");
    expect(freshness(question({ stored: { ...stored, storedAt: NOW - SECOND } }), CONFIG).kind).toBe("ask");
    expect(freshness(question({ stored, answeredAt: NOW - 59 * SECOND }), CONFIG).kind).toBe("use");
    expect(freshness(question({ stored, failedAt: NOW - 59 * SECOND }), CONFIG).kind).toBe("use");
  });

  test("says how long it stays fresh, where it has a life", () => {
    const half = { stored: { storedAt: NOW - 30 * SECOND } };
    expect(freshness(question({ ...half, class: "volatile" }), CONFIG)).toMatchObject({ cacheStatus: { kind: "hit", ttlSeconds: 90 } });
    expect(freshness(question({ ...half, class: "root" }), CONFIG)).toMatchObject({ cacheStatus: { kind: "hit", ttlSeconds: 30 } });
    expect(freshness(question(half), CONFIG)).toEqual({ kind: "use", cacheStatus: { kind: "hit" }, ageSeconds: 30 });
  });

  test("that no upstream could confirm a moment ago says so", () => {
    const asked = question({ class: "volatile", stored: { storedAt: NOW - 180 * SECOND }, failedAt: NOW - SECOND });
    expect(freshness(asked, CONFIG)).toMatchObject({
      kind: "use",
      cacheStatus: { kind: "hit", ttlSeconds: -60, detail: "stale: a moment ago no upstream could confirm it" },
      ageSeconds: 180,
    });
  });

  test("with a METADATA_TTL of 0 a root is asked for each time", () => {
    expect(freshness(question({ class: "root" }), { ...CONFIG, metadataTtlSeconds: 0 }).kind).toBe("ask");
  });

  test("that the look before saw to is the answer, whatever its age", () => {
    const settled = { kind: "hit", detail: "just revalidated" } as const;
    expect(freshness(question({ class: "volatile", stored: { storedAt: NOW - 99 * DAY }, settled }), CONFIG)).toEqual({
      kind: "use",
      cacheStatus: settled,
      ageSeconds: 0,
    });
  });
});

describe("what a repository answers for", () => {
  const generation = { kind: "generation", key: "-/sha256/x", ageSeconds: 7 } as const;

  test.each([
    ["fresh", { kind: "hit", ttlSeconds: 53 }],
    ["stale", { kind: "hit", ttlSeconds: 53 }],
    ["revalidated", { kind: "forwarded", reason: "stale", stored: true }],
  ] as const)("is as old as its generation: %s", (state, cacheStatus) => {
    const asked = question({ class: "root", where: { ...generation, state }, stored: { storedAt: NOW - 99 * DAY } });
    expect(freshness(asked, CONFIG)).toMatchObject({ kind: "use", cacheStatus, ageSeconds: 7 });
  });

  test("is not what clients had of it in pieces, which are not proven", () => {
    const sha256 = "ab".repeat(32);
    const where = { ...generation, key: `-/closed/m/sha256/${sha256}`, sharedKey: `-/sha256/${sha256}`, state: "fresh" } as const;
    const kindOf = (stored: object): string =>
      freshness(question({ class: "member", where, stored: { storedAt: NOW, ...stored } }), CONFIG).kind;
    expect(kindOf({ verified: "none", sliceBytes: 8 })).toBe("gone");
    expect(kindOf({ verified: "digest" })).toBe("use");
    // A root, as earlier versions stored it.
    expect(kindOf({ verified: "length", sha256 })).toBe("use");
  });

  test("but cannot: an old copy under its own name is better than nothing, and says so", () => {
    const failure = { kind: "failure", status: 502, detail: "no upstream answers" } as const;
    const asked = question({ class: "root", where: { kind: "failure", key: "m/x", failure }, stored: { storedAt: NOW - DAY } });
    expect(freshness(asked, CONFIG)).toEqual({
      kind: "use",
      cacheStatus: { kind: "hit", ttlSeconds: -1, detail: "stale: no upstream answers" },
      ageSeconds: DAY / SECOND,
    });
  });
});

test.each([
  [{}, false],
  [{ "cache-control": "no-cache" }, true],
  [{ "cache-control": "max-age=0" }, false],
  [{ "if-modified-since": "Sun, 06 Nov 1994 08:49:37 GMT" }, true],
  [{ "if-none-match": '"x"' }, true],
  [{ range: "bytes=1-", "if-range": '"x"' }, false],
])("a client with %j doubts: %s", (headers, doubts) => {
  expect(
    isDoubtful({
      method: "GET",
      headers: new Headers(headers as Record<string, string>),
      waitUntil: () => {},
      onBody: () => {},
      onHead: () => {},
    }),
  ).toBe(doubts);
});

test("an age is never negative, and a date ahead of the clock says nothing", () => {
  expect(ageSecondsOf({ storedAt: NOW - 5 * SECOND }, 0, NOW)).toBe(5);
  expect(ageSecondsOf({ storedAt: NOW - 5 * SECOND }, NOW - SECOND, NOW)).toBe(1);
  expect(ageSecondsOf({ storedAt: NOW + 5 * SECOND }, 0, NOW)).toBe(0);
  expect(ageSecondsOf({ storedAt: NOW + DAY }, 0, NOW)).toBe(0);
  expect(ageSecondsOf({ storedAt: NOW + DAY }, NOW - SECOND, NOW)).toBe(1);
});

test.each(["volatile", "member", "unstable-package"] as const)(
  "an answer that a wrong clock dated ahead counts for nothing: %s",
  (pathClass) => {
    const asked = question({ class: pathClass, stored: { storedAt: NOW - 2 * DAY }, answeredAt: NOW + DAY, failedAt: NOW + DAY });
    expect(freshness(asked, CONFIG)).toEqual({ kind: "ask" });
  },
);

test("past its retention, or dated by a wrong clock, a confirmed copy begins a new life", () => {
  expect(needsRenewal({ storedAt: NOW - 89 * DAY }, NOW, 90)).toBe(false);
  expect(needsRenewal({ storedAt: NOW - 90 * DAY }, NOW, 90)).toBe(true);
  expect(needsRenewal({ storedAt: NOW + DAY }, NOW, 90)).toBe(true);
});
