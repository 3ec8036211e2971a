import { expect, it } from "vitest";
import { limitLines } from "../../../src/watch/limit-lines.ts";

const MINUTE_MS = 60_000;

function createLimited(answers?: null) {
  const state = { now: Date.UTC(2026, 10, 27), answers: 0 };
  const written: string[] = [];
  const write = limitLines((level: string, message) => void written.push(`${level} ${message}`), {
    now: () => state.now,
    answers: answers === null ? null : () => state.answers,
  });
  return { state, written, write };
}

const fault = (at: number): string =>
  JSON.stringify({ kind: "fault", upstream: "http://one.test", path: `${at}.rpm`, detail: "gave no answer" });

it("an upstream that fails 500 requests a second writes some lines a minute, and the next one says how many are left out", () => {
  const { state, written, write } = createLimited();
  for (let request = 0; request < 500 * 60; request++) {
    state.now += 2;
    state.answers++;
    write("warn", fault(request));
    write("warn", `Passed fedora/${request}.rpm on unstored: the upstream broke off`);
  }
  expect(written.length).toBeLessThanOrEqual(2 * 2 * 20);
  expect(written.some((line) => line.endsWith(" lines like this one before it are not in the log)"))).toBe(true);
});

it("a flood of one kind hides no other one", () => {
  const { state, written, write } = createLimited();
  state.answers = 1_000;
  for (let at = 0; at < 1_000; at++) write("warn", `Refused fedora/${at}.rpm from http://one.test: other bytes`);
  write("warn", JSON.stringify({ kind: "breaker", upstream: "http://one.test", state: "open", openMs: 1_000 }));
  expect(written.filter((line) => line.includes("breaker"))).toHaveLength(1);
});

it("every line of repositories that publish now and then is written, though no request is answered beside them", () => {
  const { state, written, write } = createLimited(null);
  for (let at = 0; at < 500; at++) {
    state.now += 2 * MINUTE_MS;
    write("info", `fedora: published a new generation of ${at}/repodata/repomd.xml`);
  }
  expect(written).toHaveLength(500);
});

// Until November 2026 the free plan has 200,000 lines a day; from then on 0.5 GB, which are as many lines of 2.5 KB.
it("100,000 requests in a day, each with three failures to report, come to fewer than 200,000 lines, their own lines included", () => {
  for (const isolates of [1, 10, 80]) {
    let lines = 0;
    for (let isolate = 0; isolate < isolates; isolate++) {
      const { state, written, write } = createLimited();
      const requests = 100_000 / isolates;
      for (let request = 0; request < requests; request++) {
        state.now += 86_400_000 / requests;
        state.answers++;
        for (const upstream of ["one", "two"]) write("warn", fault(request).replace("one", upstream));
        write("warn", `Passed fedora/${request}.rpm on unstored: nothing came`);
      }
      lines += written.length;
    }
    expect([isolates, lines + 100_000 < 200_000]).toEqual([isolates, true]);
  }
});
