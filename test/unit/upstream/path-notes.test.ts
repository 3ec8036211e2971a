import { expect, test } from "vitest";
import { createPathNotes } from "../../../src/upstream/path-notes.ts";

test("a note is of one file at one upstream, ends by itself, and keeps its beginning while it is renewed", () => {
  const clock = { now: 1_000 };
  const notes = createPathNotes(() => clock.now);
  notes.note("http://a", "x.deb", 60_000);
  expect([notes.until("http://a", "x.deb"), notes.until("http://a", "y.deb"), notes.until("http://b", "x.deb")]).toEqual([61_000, 0, 0]);
  clock.now += 3_000_000;
  notes.note("http://a", "x.deb", 0);
  expect([notes.since("http://a", "x.deb"), notes.until("http://a", "x.deb")]).toEqual([1_000, clock.now]);
  clock.now += 3_600_000;
  notes.note("http://a", "x.deb", 0);
  expect(notes.since("http://a", "x.deb")).toBe(clock.now);
  notes.clear("http://a", "x.deb");
  expect([notes.since("http://a", "x.deb"), notes.until("http://a", "x.deb")]).toEqual([0, 0]);
});

test("no more than two thousand files with names of real length are remembered, and the newest are", () => {
  const notes = createPathNotes(() => 1);
  notes.note("http://a", "x".repeat(1_001), 60_000);
  expect(notes.until("http://a", "x".repeat(1_001))).toBe(0);
  for (let file = 0; file < 2_001; file++) notes.note("http://a", `${file}.deb`, 60_000);
  expect([0, 1, 2_000].map((file) => notes.until("http://a", `${file}.deb`) > 0)).toEqual([false, true, true]);
});
