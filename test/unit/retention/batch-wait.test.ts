import { describe, expect, it } from "vitest";
import { createBatchWait } from "../../../src/retention/batch-wait.ts";

/** Cloudflare ends what a request waits for 30 s after its response. */
const LIMIT_MS = 30_000;

/** An isolate over a clock that moves from timer to timer. `entriesAt`: when something comes into its batch, in milliseconds from the start. */
async function run(entriesAt: readonly number[], maxWaitMs: number) {
  let now = 1_000_000;
  const start = now;
  const timers: { at: number; wake: () => void }[] = [];
  const flushed: { at: number; entries: number }[] = [];
  const newsAt: number[] = [];
  const waits: number[] = [];
  let entries = 0;
  const flush = async (): Promise<void> => {
    if (entries > 0) flushed.push({ at: now - start, entries });
    entries = 0;
    wait.sent();
  };
  const wait = createBatchWait({
    now: () => now,
    sleep: (ms) => new Promise((wake) => void timers.push({ at: now + ms, wake })),
    waitUntil(work) {
      const began = now;
      void work.then(() => waits.push(now - began));
    },
    maxWaitMs: () => maxWaitMs,
    flush,
    flushNews: async () => void newsAt.push(now - start),
  });
  for (const at of entriesAt) timers.push({ at: start + at, wake: () => (entries++, wait.arm()) });
  while (timers.length > 0) {
    timers.sort((one, other) => one.at - other.at);
    const next = timers.shift();
    if (next === undefined) break;
    now = next.at;
    next.wake();
    // Whatever the timer had waiting runs before the next one.
    for (let turns = 0; turns < 10; turns++) await Promise.resolve();
  }
  return { flushed, newsAt, waits, left: entries };
}

const every = (ms: number, count: number): readonly number[] => Array.from({ length: count }, (_, at) => at * ms);

describe("a batch at the edge", () => {
  it("of a busy isolate goes every two minutes, and its last one soon after the last request", async () => {
    const { flushed, left } = await run(every(500, 1_200), 120_000);
    expect(left).toBe(0);
    expect(flushed.length).toBeLessThanOrEqual(6);
    expect(flushed.at(-1)?.at).toBeLessThanOrEqual(599_500 + LIMIT_MS);
  });

  it("of a single request goes within the time that Cloudflare lets it wait", async () => {
    const { flushed } = await run([0], 120_000);
    expect(flushed).toEqual([{ at: 21_000, entries: 1 }]);
  });

  it("never needs a request to wait longer than that, and nothing is left, whatever the pauses between requests", async () => {
    for (const pause of [100, 1_000, 3_000, 7_900, 8_000, 8_100, 12_000, 19_000, 20_000, 21_000, 27_000, 29_000, 60_000]) {
      const { waits, left } = await run(every(pause, 40), 120_000);
      expect([pause, left]).toEqual([pause, 0]);
      expect(Math.max(...waits)).toBeLessThan(LIMIT_MS);
    }
  });

  it("lets news go at each look, before the batch is due", async () => {
    const { newsAt, flushed } = await run(every(1_000, 60), 120_000);
    expect(newsAt[0]).toBe(7_000);
    expect(flushed[0]?.at).toBeGreaterThan(60_000);
  });
});

it("a batch on one machine goes at the first look", async () => {
  const { flushed } = await run(every(1_000, 20), 0);
  expect(flushed.map(({ at }) => at)).toEqual([7_000, 15_000, 23_000]);
});
