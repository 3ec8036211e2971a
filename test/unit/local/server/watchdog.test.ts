import { describe, expect, test } from "vitest";
import { cpuTimesOf, createJudge, MISSES, type Probe, PROBE_MS, readPsTime } from "../../../../src/local/server/watchdog.ts";

const busy = { used: PROBE_MS, wanted: PROBE_MS };
const silent: Probe = { outcome: "silent", tookMs: PROBE_MS + 5, cpu: busy };
const answered: Probe = { outcome: "answered", tookMs: 2, cpu: { used: 1, wanted: 1 } };

/** Whether the runtime is said to stand still after each of these probes. */
function judge(...probes: readonly Probe[]): readonly boolean[] {
  const isStill = createJudge();
  return probes.map((probe) => isStill(probe));
}

describe("a runtime stands still", () => {
  test("after three probes in a row, some 10 s, that it did not answer while it computed", () => {
    expect(MISSES * PROBE_MS).toBeGreaterThanOrEqual(10_000);
    expect(judge(answered, silent, silent, silent)).toEqual([false, false, false, true]);
  });

  test("also where it gets a third of a processor that other programs use as well", () => {
    const crowded = { ...silent, cpu: { used: PROBE_MS * 0.3, wanted: PROBE_MS * 0.95 } };
    expect(judge(crowded, crowded, crowded)).toEqual([false, false, true]);
  });
});

describe("a runtime is left alone", () => {
  test.each<[string, Probe]>([
    ["where it waits for a slow disk, and so uses no processor", { ...silent, cpu: { used: 20, wanted: 25 } }],
    ["where the machine gives it no processor", { ...silent, cpu: { used: 20, wanted: PROBE_MS } }],
    ["where this process had no turn itself", { ...silent, tookMs: PROBE_MS + 5_000, cpu: { used: 8_000, wanted: 8_000 } }],
    ["where the machine slept meanwhile", { ...silent, tookMs: 8 * 3_600_000 }],
    ["where nothing says what it used", { ...silent, cpu: null }],
    ["where it could not be asked, since there are no files left to open", { ...silent, outcome: "unclear" }],
  ])("%s", (_name, probe) => {
    expect(judge(probe, probe, probe, probe, probe, probe)).not.toContain(true);
    // One such probe among others begins the count anew.
    expect(judge(silent, silent, probe, silent, silent)).not.toContain(true);
    expect(judge(silent, silent, probe, silent, silent, silent).at(-1)).toBe(true);
  });

  test("where it answers now and then", () => {
    expect(judge(silent, silent, answered, silent, silent, answered)).not.toContain(true);
  });
});

test("what a process used of processors grows while it computes", async () => {
  const before = await cpuTimesOf(process.pid);
  for (const end = process.cpuUsage().user + 200_000; process.cpuUsage().user < end;);
  const after = await cpuTimesOf(process.pid);
  expect(after?.used).toBeGreaterThan((before?.used ?? Infinity) + 100);
  expect(after?.wanted).toBeGreaterThanOrEqual(after?.used ?? Infinity);
  expect(await cpuTimesOf(2 ** 30)).toBeNull();
});

test.each([
  ["  0:03\n", 3_000],
  ["00:01:02", 62_000],
  ["1-02:03:04", 93_784_000],
  ["12:34.56", 754_560],
  ["", null],
  ["TIME", null],
])("ps says %j", (text, ms) => expect(readPsTime(text)).toBe(ms));
