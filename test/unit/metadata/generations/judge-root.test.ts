import { expect, test } from "vitest";
import { type DoubtKind, isBelieved, type Judgement, judgeRoot } from "../../../../src/metadata/generations/judge-root.ts";
import type { ParsedRoot, RootParse } from "../../../../src/metadata/formats/parsed-root.ts";

const NOW = Date.UTC(2026, 0, 10);
const DAY = 86_400;
const HOUR_MS = 3_600_000;
const T = NOW / 1000 - 5 * DAY;

const root = (part: Partial<ParsedRoot>): ParsedRoot => ({
  revision: undefined,
  timestamp: T,
  validUntil: undefined,
  byHash: false,
  entries: [],
  ...part,
});
const held = (part: Partial<ParsedRoot> = {}): ParsedRoot => root(part);
const shown = (part: Partial<ParsedRoot> = {}): RootParse => ({ kind: "parsed", root: root(part) });
const malformed: RootParse = { kind: "malformed", reason: "cut" };
const nothing = null;
const past = NOW - 1;
const ahead = NOW + 1;

test.each<[string, ParsedRoot | null, RootParse, Judgement["kind"] | DoubtKind]>([
  ["the first one that parses is adopted", nothing, shown(), "adopt"],
  ["the first one is adopted past its date too: archives are", nothing, shown({ validUntil: past }), "adopt"],
  ["the first one is adopted though its clock was wrong", nothing, shown({ timestamp: T + 30 * DAY }), "adopt"],
  ["what never parsed is opaque", nothing, malformed, "opaque"],
  ["a malformed one does not replace a parsed one at once", held(), malformed, "malformed"],
  ["a newer timestamp is adopted", held(), shown({ timestamp: T + 1 }), "adopt"],
  ["an older timestamp is doubted", held(), shown({ timestamp: T - 1 }), "older"],
  ["an equal timestamp with other bytes is adopted: it was signed again", held(), shown(), "adopt"],
  ["an older revision is doubted whatever the timestamps say", held({ revision: 9 }), shown({ revision: 8, timestamp: T + 1 }), "older"],
  ["a newer revision is adopted whatever the timestamps say", held({ revision: 8 }), shown({ revision: 9, timestamp: T - 1 }), "adopt"],
  ["an equal revision leaves it to the timestamps", held({ revision: 9 }), shown({ revision: 9, timestamp: T - 1 }), "older"],
  ["a revision on one side only leaves it to the timestamps", held({ revision: 9 }), shown({ timestamp: T + 1 }), "adopt"],
  ["a counter is not compared with a time", held({ revision: T }), shown({ revision: 12, timestamp: T + 1 }), "adopt"],
  ["nor a time with a counter", held({ revision: 12 }), shown({ revision: T, timestamp: T - 1 }), "older"],
  ["a counter of twenty digits is no time", held({ revision: 1e19 }), shown({ revision: T, timestamp: T + 1 }), "adopt"],
  ["without any date nothing is older", held(), shown({ timestamp: undefined }), "adopt"],
  [
    "one past its Valid-Until does not replace one that is not",
    held({ validUntil: ahead }),
    shown({ validUntil: past, timestamp: T + 1 }),
    "expired",
  ],
  ["nor one that has none", held(), shown({ validUntil: past }), "expired"],
  ["past it both, the newer is adopted", held({ validUntil: past }), shown({ validUntil: past, timestamp: T + 1 }), "adopt"],
  ["a revision of the far future does not push out a present one", held({ revision: T }), shown({ revision: 9_999_999_999 }), "future"],
  ["nor does a date", held(), shown({ timestamp: T + 30 * DAY }), "future"],
  ["a held one of the far future gives way to a present one at once", held({ revision: 9_999_999_999 }), shown({ revision: T }), "adopt"],
  ["also where the present one is past its Valid-Until", held({ timestamp: T + 30 * DAY }), shown({ validUntil: past }), "adopt"],
  ["a clock that is a day ahead is no far future", held(), shown({ timestamp: NOW / 1000 + DAY }), "adopt"],
  ["of two from the future the older is doubted", held({ revision: 9_999_999_999 }), shown({ revision: 9_999_999_998 }), "older"],
])("%s", (_name, holding, candidate, verdict) => {
  const judged = judgeRoot({ held: holding, isHeld: holding !== null, isBelieved: false }, candidate, NOW);
  expect(judged.kind === "doubt" ? judged.doubt : judged.kind).toBe(verdict);
});

test.each<[string, RootParse, Judgement["kind"]]>([
  ["an older one", shown({ timestamp: T - 1 }), "adopt"],
  ["one of the future", shown({ timestamp: T + 30 * DAY }), "adopt"],
  ["one past its Valid-Until", shown({ validUntil: past }), "adopt"],
  ["a malformed one, as no client can read it,", malformed, "opaque"],
])("%s is taken once all have shown doubtful ones for an hour", (_name, candidate, verdict) => {
  expect(judgeRoot({ held: held(), isHeld: true, isBelieved: true }, candidate, NOW).kind).toBe(verdict);
});

test("what stands alone and is not parsed is defended against what no client can read", () => {
  expect(judgeRoot({ held: null, isHeld: true, isBelieved: false }, malformed, NOW).kind).toBe("doubt");
});

test("a doubt is over after an hour, not before", () => {
  expect([NOW - HOUR_MS + 1, NOW - HOUR_MS, null].map((since) => isBelieved(NOW, since))).toEqual([false, true, false]);
});
