import { describe, expect, it } from "vitest";
import type { RequestRecord } from "../../../src/watch/counters.ts";
import { createRecordSampler } from "../../../src/watch/sample-records.ts";
import { createRandom } from "../../chaos/random.ts";

const START = Date.UTC(2026, 10, 27);
const MINUTE_MS = 60_000;
const HIT: RequestRecord = { method: "GET", mirror: "fedora", path: "a.rpm", status: 200, bytes: 10, cache: "hit", ms: 1 };
const FAILED: RequestRecord = { ...HIT, status: 502, cache: "fwd=miss" };

/** Lines and weights of as many requests, evenly over the minutes, in one isolate. */
function log(record: RequestRecord, requests: number, minutes: number): { readonly lines: number; readonly weight: number } {
  let now = START;
  const weigh = createRecordSampler({ now: () => now, random: createRandom(3).next });
  let [lines, weight] = [0, 0];
  for (let request = 0; request < requests; request++) {
    now = START + (request / requests) * minutes * MINUTE_MS;
    const one = weigh(record);
    lines += one > 0 ? 1 : 0;
    weight += one;
  }
  return { lines, weight };
}

describe("the lines of an isolate", () => {
  it("are all requests of a small mirror: 2,000 a day, and an update of fifty packages at once", () => {
    expect(log(HIT, 2_000, 1_440)).toEqual({ lines: 2_000, weight: 2_000 });
    expect(log(HIT, 50, 0)).toEqual({ lines: 50, weight: 50 });
  });

  it("are two a minute and one of 200 of a large one: a month of 500 million in 50 isolates stays below the 10 million that are free", () => {
    // An hour of one isolate: isolates that last for a shorter time begin anew more often.
    const hour = log(HIT, 500e6 / 50 / 720, 60);
    expect(hour.lines * 50 * 720).toBeLessThan(10e6);
    expect(hour.lines).toBeGreaterThan(120);
  });

  it("say what they stand for: the sum of their weights is about the number of requests", () => {
    const { weight } = log(HIT, 1_000_000, 10);
    expect(Math.abs(weight / 1_000_000 - 1)).toBeLessThan(0.05);
  });

  it("are no more than some a second where every request fails", () => {
    const { lines } = log(FAILED, 500 * 3_600, 60);
    expect(lines / 3_600).toBeLessThan(6);
  });
});

it("a failure is a line though many requests are served or refused, whatever kind of failure it is", () => {
  let now = START;
  const weigh = createRecordSampler({ now: () => now, random: () => 0.5 });
  for (let request = 0; request < 10_000; request++) weigh(request % 2 === 0 ? HIT : { ...HIT, status: 403, turnedAway: true });
  for (const failure of [FAILED, { ...HIT, cut: "the client left" }, { ...HIT, cache: 'hit; ttl=-20; detail="stale"' }])
    expect(weigh(failure)).toBe(1);
  expect(weigh(HIT)).toBe(0);
  now -= 86_400_000;
  expect(weigh(HIT)).toBe(0);
  now += 2 * 86_400_000;
  expect(weigh(HIT)).toBe(1);
});
